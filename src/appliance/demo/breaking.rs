//! Breaks services of the shop and heals them, as a user would: through objects of the platform.
//!
//! A release binding that was changed for a fault says so in an annotation: the fault, and for each change what was
//! there before. Healing puts that back where the change still stands; what a user has changed meanwhile is kept.

use kube::{
    Api, Client,
    api::{DynamicObject, ListParams, PostParams},
};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::{
    api,
    faults::{self, Change, Fault, PROJECT},
};
use crate::{Error, access::Access, identity::refused};

/// Holds a [`Record`] as JSON.
const ANNOTATION: &str = "curtain.dev/fault";
/// Where the shop's objects are.
const NAMESPACE: &str = "default";
/// Where the container's own variables are changed.
const VARIABLES: &str = "/spec/workloadOverrides/container/env";
/// How often a change is tried again that somebody else's overtook.
const TRIES: usize = 5;

/// What a fault changed.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
struct Record {
    fault: String,
    #[serde(default)]
    variables: Vec<Changed>,
    #[serde(default)]
    image: Option<Changed>,
    /// Whether the binding had no overrides of the workload at all.
    #[serde(default)]
    bare: bool,
}

/// One change.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Changed {
    before: Value,
    after: Value,
}

/// A service that was broken.
#[derive(Clone, Debug, Serialize)]
pub struct Broken {
    /// The service.
    pub service: String,
    /// In which environment.
    pub environment: String,
    /// How.
    pub fault: Fault,
    /// The object that was changed.
    pub changed: String,
    /// Where in it.
    pub field: &'static str,
}

/// A service that was healed.
#[derive(Clone, Debug, Serialize)]
pub struct Healed {
    /// The service.
    pub service: String,
    /// In which environment.
    pub environment: String,
    /// What it was broken by.
    pub fault: String,
    /// What a user has changed since, and is therefore as the user left it.
    pub kept: Vec<String>,
}

/// Breaks `service` in `environment` by the fault called `name`, or its usual one. Again is no other than once.
///
/// # Errors
/// An unknown service or fault, a service that is not deployed there or is broken otherwise already, or a cluster that
/// refuses.
pub async fn break_service(
    access: &Access,
    service: &str,
    name: Option<&str>,
    environment: &str,
) -> Result<Broken, Error> {
    let fault = faults::find(service, name)?;
    let client = access.kube().await?;
    let change = faults::change(service, fault.name);
    let image = match change {
        Change::Image => Some(Image::of(&client, service).await?),
        Change::Variables(_) => None,
    };
    let bindings = api(&client, "ReleaseBinding", "releasebindings", NAMESPACE);
    let mut changed = String::new();
    for tried in 1.. {
        let mut binding = find(&bindings, service, environment).await?;
        changed = format!("ReleaseBinding {NAMESPACE}/{}", name_of(&binding));
        if let Some(record) = record(&binding) {
            if record.fault == fault.name {
                break;
            }
            return Err(Error::Broken { service: service.to_owned(), fault: record.fault });
        }
        let record = match (&change, &image) {
            (Change::Variables(variables), _) => set(&mut binding, variables),
            (Change::Image, Some(image)) => image.record(&binding, service, environment)?,
            (Change::Image, None) => Record::default(),
        };
        let record = Record { fault: fault.name.to_owned(), ..record };
        let text = serde_json::to_string(&record).unwrap_or_default();
        binding.metadata.annotations.get_or_insert_default().insert(ANNOTATION.to_owned(), text);
        if written(&bindings, &binding, tried).await? {
            break;
        }
    }
    let mut field = VARIABLES;
    if let Some(image) = image {
        image.break_it().await?;
        changed = format!("Workload {NAMESPACE}/{service}");
        field = "/spec/container/image";
    }
    let (service, environment) = (service.to_owned(), environment.to_owned());
    Ok(Broken { service, environment, fault, changed, field })
}

/// Heals `service`, or every one of them, in `environment` or everywhere; those that were broken.
///
/// # Errors
/// An unknown service, or a cluster that refuses.
pub async fn heal(
    access: &Access,
    service: Option<&str>,
    environment: Option<&str>,
) -> Result<Vec<Healed>, Error> {
    if let Some(service) = service {
        faults::find(service, None)?;
    }
    let client = access.kube().await?;
    let bindings = api(&client, "ReleaseBinding", "releasebindings", NAMESPACE);
    let all = bindings.list(&ListParams::default()).await;
    let all = all.map_err(refused("list the release bindings"))?;
    let meant = all.items.into_iter().filter(|binding| {
        let is = |path: &str, wanted: Option<&str>| {
            wanted.is_none_or(|wanted| text(binding, path) == wanted)
        };
        is("/spec/owner/projectName", Some(PROJECT))
            && is("/spec/owner/componentName", service)
            && is("/spec/environment", environment)
    });
    let mut healed = Vec::new();
    for binding in meant {
        healed.extend(heal_one(&client, &bindings, binding).await?);
    }
    Ok(healed)
}

async fn heal_one(
    client: &Client,
    bindings: &Api<DynamicObject>,
    mut binding: DynamicObject,
) -> Result<Option<Healed>, Error> {
    let name = name_of(&binding).to_owned();
    for tried in 1.. {
        let Some(record) = record(&binding) else { return Ok(None) };
        let service = text(&binding, "/spec/owner/componentName").to_owned();
        let mut kept = restore(&mut binding, &record);
        if let Some(image) = &record.image
            && !Image::of(client, &service).await?.heal(image).await?
        {
            kept.push("image".to_owned());
        }
        if let Some(annotations) = &mut binding.metadata.annotations {
            annotations.remove(ANNOTATION);
        }
        if written(bindings, &binding, tried).await? {
            let environment = text(&binding, "/spec/environment").to_owned();
            return Ok(Some(Healed { service, environment, fault: record.fault, kept }));
        }
        binding = bindings.get(&name).await.map_err(refused("read the release binding"))?;
    }
    Ok(None)
}

/// Writes `binding` as it was read; `false` when somebody else was faster and it should be read again.
async fn written(
    bindings: &Api<DynamicObject>,
    binding: &DynamicObject,
    tried: usize,
) -> Result<bool, Error> {
    let parameters = PostParams { field_manager: Some("curtain".into()), ..PostParams::default() };
    match bindings.replace(name_of(binding), &parameters, binding).await {
        Ok(_) => Ok(true),
        Err(kube::Error::Api(status)) if status.code == 409 && tried < TRIES => Ok(false),
        Err(error) => Err(refused("change the release binding")(error)),
    }
}

async fn find(
    bindings: &Api<DynamicObject>,
    service: &str,
    environment: &str,
) -> Result<DynamicObject, Error> {
    let all = bindings.list(&ListParams::default()).await;
    let all = all.map_err(refused("list the release bindings"))?;
    let found = all.items.into_iter().find(|binding| {
        text(binding, "/spec/owner/projectName") == PROJECT
            && text(binding, "/spec/owner/componentName") == service
            && text(binding, "/spec/environment") == environment
    });
    found.ok_or_else(|| Error::NotDeployed {
        service: service.to_owned(),
        environment: environment.to_owned(),
    })
}

fn name_of(object: &DynamicObject) -> &str {
    object.metadata.name.as_deref().unwrap_or_default()
}

fn text<'o>(object: &'o DynamicObject, path: &str) -> &'o str {
    object.data.pointer(path).and_then(Value::as_str).unwrap_or_default()
}

fn record(binding: &DynamicObject) -> Option<Record> {
    let text = binding.metadata.annotations.as_ref()?.get(ANNOTATION)?;
    // One that nobody can read is still a fault, of which nothing can be put back.
    Some(serde_json::from_str(text).unwrap_or_default())
}

/// Sets `variables` in the binding, and tells what was there.
fn set(binding: &mut DynamicObject, variables: &[Value]) -> Record {
    let bare = binding.data.pointer("/spec/workloadOverrides").is_none();
    let container = &mut binding.data["spec"]["workloadOverrides"]["container"];
    if !container["env"].is_array() {
        container["env"] = json!([]);
    }
    let mut changed = Vec::new();
    if let Some(entries) = container["env"].as_array_mut() {
        for after in variables {
            let after = after.clone();
            let before = match entries.iter_mut().find(|entry| entry["key"] == after["key"]) {
                Some(entry) => std::mem::replace(entry, after.clone()),
                None => {
                    entries.push(after.clone());
                    Value::Null
                }
            };
            changed.push(Changed { before, after });
        }
    }
    Record { variables: changed, bare, ..Record::default() }
}

/// Puts back what still is as the fault left it, and names the rest.
fn restore(binding: &mut DynamicObject, record: &Record) -> Vec<String> {
    let mut kept = Vec::new();
    let entries = binding.data.pointer_mut(VARIABLES).and_then(Value::as_array_mut);
    let Some(entries) = entries else { return kept };
    for Changed { before, after } in &record.variables {
        let key = &after["key"];
        match entries.iter().position(|entry| entry["key"] == *key) {
            Some(at) if entries[at] == *after => match before {
                Value::Null => drop(entries.remove(at)),
                before => entries[at] = before.clone(),
            },
            Some(_) => kept.push(key.as_str().unwrap_or_default().to_owned()),
            None => {}
        }
    }
    let is_empty = entries.is_empty();
    let overrides = &binding.data["spec"]["workloadOverrides"];
    let nothing_else = overrides.as_object().is_none_or(|all| all.len() == 1)
        && overrides["container"].as_object().is_none_or(|all| all.len() == 1);
    if record.bare
        && is_empty
        && nothing_else
        && let Some(spec) = binding.data["spec"].as_object_mut()
    {
        spec.remove("workloadOverrides");
    }
    kept
}

/// The image of a service's workload.
struct Image {
    workloads: Api<DynamicObject>,
    workload: DynamicObject,
    /// The newest release of the component.
    newest: String,
}

impl Image {
    const PATH: &str = "/spec/container/image";

    async fn of(client: &Client, service: &str) -> Result<Self, Error> {
        let workloads = api(client, "Workload", "workloads", NAMESPACE);
        let workload = workloads.get(service).await.map_err(refused("read the workload"))?;
        let components = api(client, "Component", "components", NAMESPACE);
        let component = components.get(service).await.map_err(refused("read the component"))?;
        let newest = text(&component, "/status/latestRelease/name").to_owned();
        Ok(Self { workloads, workload, newest })
    }

    /// What becomes of the image. Only where the newest release runs does another one follow by itself.
    fn record(
        &self,
        binding: &DynamicObject,
        service: &str,
        environment: &str,
    ) -> Result<Record, Error> {
        if text(binding, "/spec/releaseName") != self.newest {
            return Err(Error::NotDeployed {
                service: format!("the newest release of {service}"),
                environment: environment.to_owned(),
            });
        }
        let before = json!(text(&self.workload, Self::PATH));
        let changed = Changed { before, after: self.missing() };
        Ok(Record { image: Some(changed), ..Record::default() })
    }

    /// The same image with a tag that does not exist.
    fn missing(&self) -> Value {
        let now = text(&self.workload, Self::PATH);
        json!(format!("{}:no-such-tag", now.rsplit_once(':').map_or(now, |(name, _)| name)))
    }

    async fn break_it(mut self) -> Result<(), Error> {
        self.write(self.missing()).await
    }

    /// Whether the image was still the one of the fault.
    async fn heal(mut self, changed: &Changed) -> Result<bool, Error> {
        let now = json!(text(&self.workload, Self::PATH));
        if now == changed.after {
            self.write(changed.before.clone()).await?;
        }
        // It never got that far, perhaps.
        Ok(now == changed.after || now == changed.before)
    }

    async fn write(&mut self, image: Value) -> Result<(), Error> {
        self.workload.data["spec"]["container"]["image"] = image;
        let parameters =
            PostParams { field_manager: Some("curtain".into()), ..PostParams::default() };
        let name = name_of(&self.workload).to_owned();
        let written = self.workloads.replace(&name, &parameters, &self.workload).await;
        written.map(drop).map_err(refused("change the workload"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn binding(spec: Value) -> DynamicObject {
        serde_json::from_value(json!({ "metadata": { "name": "b" }, "spec": spec })).unwrap()
    }

    #[test]
    fn what_was_there_before_comes_back_exactly() {
        let own = json!({ "key": "TAX_PERCENT", "value": "7" });
        let other = json!({ "key": "OTHER", "value": "1" });
        for spec in [
            json!({}),
            json!({ "workloadOverrides": {} }),
            json!({ "workloadOverrides": { "container": { "env": [own, other] } } }),
            json!({ "workloadOverrides": { "container": { "env": [other], "files": [{ "key": "f" }] } } }),
        ] {
            let mut changed = binding(spec.clone());
            let record = set(&mut changed, &[json!({ "key": "TAX_PERCENT", "value": "nineteen" })]);
            let entries = changed.data.pointer(VARIABLES).unwrap().as_array().unwrap();
            assert!(entries.iter().any(|entry| entry["value"] == "nineteen"), "{changed:?}");
            assert_eq!(restore(&mut changed, &record), Vec::<String>::new());
            let env = |spec: &Value| {
                spec.pointer("/workloadOverrides/container/env")
                    .cloned()
                    .filter(|e| *e != json!([]))
            };
            assert_eq!(env(&changed.data["spec"]), env(&spec));
            if spec == json!({}) {
                assert_eq!(changed.data["spec"], spec);
            }
        }
    }

    #[test]
    fn what_a_user_changed_meanwhile_is_kept() {
        let mut changed = binding(json!({}));
        let fault = [json!({ "key": "A", "value": "bad" }), json!({ "key": "B", "value": "bad" })];
        let record = set(&mut changed, &fault);
        let entries = changed.data.pointer_mut(VARIABLES).unwrap();
        entries[0]["value"] = json!("good");
        entries.as_array_mut().unwrap().push(json!({ "key": "C", "value": "new" }));
        assert_eq!(restore(&mut changed, &record), ["A"]);
        let left = changed.data.pointer(VARIABLES).unwrap();
        assert_eq!(*left, json!([{ "key": "A", "value": "good" }, { "key": "C", "value": "new" }]));
    }

    #[test]
    fn a_record_survives_its_annotation() {
        let mut broken = binding(json!({}));
        let record = set(&mut broken, &[json!({ "key": "A", "value": "bad" })]);
        let text = serde_json::to_string(&record).unwrap();
        broken.metadata.annotations = Some([(ANNOTATION.to_owned(), text)].into());
        assert_eq!(super::record(&broken), Some(record));
        assert_eq!(super::record(&binding(json!({}))), None);
    }
}
