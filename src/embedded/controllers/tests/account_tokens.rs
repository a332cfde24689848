//! Tokens of accounts in Secrets.

use k8s_openapi::ByteString;
use k8s_openapi::api::authentication::v1::TokenReview;
use k8s_openapi::api::core::v1::{Secret, ServiceAccount};

use super::*;

fn secret(name: &str, account: &str) -> Value {
    json!({"metadata": {"name": name, "annotations": {"kubernetes.io/service-account.name": account}},
        "type": "kubernetes.io/service-account-token"})
}

fn token_of(secret: &Secret) -> Option<String> {
    let ByteString(token) = secret.data.as_ref()?.get("token")?;
    Some(String::from_utf8_lossy(token).into_owned())
}

/// Whom the API server takes a token's bearer for.
async fn bearer(world: &World, token: &str) -> Option<String> {
    let review = serde_json::from_value(json!({"spec": {"token": token}})).expect("a review");
    let reviews: Api<TokenReview> = Api::all(world.client.clone());
    let review = reviews.create(&PostParams::default(), &review).await.expect("is reviewed");
    review.status?.user?.username
}

#[tokio::test]
async fn a_secret_has_a_token_for_as_long_as_it_and_its_account_are_there() {
    let world = World::new().await;
    let secrets: Api<Secret> = world.api();
    world.create::<ServiceAccount>(json!({"metadata": {"name": "robot"}})).await;
    world.create::<Secret>(secret("robot", "robot")).await;
    world.create::<Secret>(json!({"metadata": {"name": "other"}, "data": {"token": ""}})).await;
    let has_token = |secrets: &[Secret]| {
        secrets.iter().any(|one| one.name_any() == "robot" && token_of(one).is_some())
    };
    until(&secrets, "a token", has_token).await;
    let filled = secrets.get("robot").await.expect("is there");
    let data = filled.data.as_ref().expect("data");
    assert_eq!(data["namespace"].0, b"default");
    assert_eq!(data["ca.crt"].0, b"the CA");
    assert!(filled.annotations().contains_key("kubernetes.io/service-account.uid"));
    let first = token_of(&filled).expect("a token");
    let robot = Some("system:serviceaccount:default:robot".to_owned());
    assert_eq!(bearer(&world, &first).await, robot);

    // One that is taken out of the Secret is worth nothing any more; another takes its place.
    let change = Patch::Merge(json!({"data": {"token": null}}));
    secrets.patch("robot", &PatchParams::default(), &change).await.expect("patches");
    until(&secrets, "another token", has_token).await;
    let second = token_of(&secrets.get("robot").await.expect("is there")).expect("a token");
    assert_ne!(first, second);
    assert_eq!((bearer(&world, &first).await, bearer(&world, &second).await), (None, robot));

    // Without their account they go, whether it was ever there or not.
    world.create::<Secret>(secret("nobody", "nobody")).await;
    let accounts: Api<ServiceAccount> = world.api();
    accounts.delete("robot", &DeleteParams::default()).await.expect("deletes");
    let rest = |secrets: &[Secret]| secrets.iter().map(ResourceExt::name_any).eq(["other"]);
    until(&secrets, "the Secrets without accounts to go", rest).await;
    assert_eq!(bearer(&world, &second).await, None);
    world.stop().await;
}
