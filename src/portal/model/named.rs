//! What an address names; where it is not there, the error says what is, as the command line and the tools say it.

use super::belongs;
use crate::backend::User;
use crate::error::BackendError;
use crate::login::encode;
use crate::pages::component::Place;
use serde_json::Value;

/// The project of that name.
pub(crate) async fn project_named(
    user: &User<'_>,
    namespace: &str,
    name: &str,
) -> Result<Value, BackendError> {
    let path = format!("/namespaces/{}/projects/{}", encode(namespace), encode(name));
    match user.get(&path).await {
        Err(BackendError::NotFound(why)) => {
            let named = format!("&project={}", encode(name));
            Err(absent(user, namespace, &named, format!("there is no project {name:?}"), why).await)
        }
        answer => answer,
    }
}

/// The component of that name, which is found in its own project only.
pub(crate) async fn component_named(user: &User<'_>, place: &Place) -> Result<Value, BackendError> {
    let path =
        format!("/namespaces/{}/components/{}", encode(&place.namespace), encode(&place.component));
    let found = user.get(&path).await;
    let why = match found.and_then(|component| belongs(&component, place).map(|()| component)) {
        Err(BackendError::NotFound(why)) => why,
        answer => return answer,
    };
    project_named(user, &place.namespace, &place.project).await?;
    let named =
        format!("&project={}&component={}", encode(&place.project), encode(&place.component));
    let what = format!("there is no component {:?} in project {}", place.component, place.project);
    Err(absent(user, &place.namespace, &named, what, why).await)
}

/// `what`, and the names there are that the person may see; `why` where the API does not tell them.
async fn absent(
    user: &User<'_>,
    namespace: &str,
    named: &str,
    what: String,
    why: String,
) -> BackendError {
    let path = format!("/authz/names?namespace={}{named}", encode(namespace));
    let answer = match user.get(&path).await {
        Err(BackendError::SignedOut) => return BackendError::SignedOut,
        Ok(answer) if answer["absent"] == true => answer,
        _ => return BackendError::NotFound(why),
    };
    let known = answer["known"].as_array().into_iter().flatten().filter_map(Value::as_str);
    let known: Vec<&str> = known.collect();
    BackendError::NotFound(match (known.is_empty(), answer["more"] == true) {
        (true, _) => format!("{what}; there are none that you may see"),
        (false, more) => {
            format!(
                "{what}; there are: {}{}",
                known.join(", "),
                if more { " and more" } else { "" }
            )
        }
    })
}
