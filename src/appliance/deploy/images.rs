//! Seeing to it that the cluster has an image, without another image losing its name to it.
//!
//! Invariant: what is given to the cluster has one name, which was looked at before, and which is not the platform's. Of
//! what somebody else runs by a name, nobody but the administrator changes what that name means.

use std::{
    collections::BTreeSet,
    io::Read,
    sync::{Arc, OnceLock},
};

use curtain_deploy::{USUAL_PORT, same};
use curtain_provider::{Admit, Image, Surroundings, local_image};
use kube::Client;

use super::{
    Origin, claims,
    claims::Claims,
    origin::{layout, nowhere},
};
use crate::{Error, access::Access, demo::everywhere, identity::refused};

/// An image that the cluster has or can have.
pub(super) struct Found {
    pub(super) reference: String,
    /// Its digest, where it is known.
    pub(super) id: Option<String>,
    pub(super) ports: Vec<u16>,
    pub(super) from: &'static str,
    /// Whether the cluster was given it now.
    pub(super) given: bool,
}

impl Found {
    /// The port that is `wanted`, or else the one the image names.
    pub(super) fn port(&self, wanted: Option<u16>) -> Result<u16, Error> {
        match (wanted, self.ports.as_slice()) {
            (Some(port), _) | (None, &[port]) => Ok(port),
            (None, []) => Ok(USUAL_PORT),
            (None, several) => {
                let several: Vec<_> = several.iter().map(u16::to_string).collect();
                let why = format!("it names several ports ({})", several.join(", "));
                let image = self.reference.clone();
                Err(Error::Image { image, why, next: "choose one by --port" })
            }
        }
    }
}

/// Which names may be given to the cluster.
pub(super) struct Rule {
    /// The platform's own image.
    platform: String,
    /// For whom names that the cluster has are not free.
    bound: Option<Bound>,
}

struct Bound {
    /// The component, as claims name it.
    key: String,
    claims: Claims,
    /// The images of all other components.
    others: Vec<String>,
}

impl Rule {
    /// What binds the administrator, too.
    pub(super) fn of_all(access: &Access) -> Self {
        Self { platform: access.cluster().image, bound: None }
    }

    /// What binds everybody else, for `component` of `project`.
    ///
    /// # Errors
    /// A cluster that does not answer.
    pub(super) async fn of_others(
        access: &Access,
        client: &Client,
        (project, component): (&str, &str),
    ) -> Result<Self, Error> {
        let workloads = everywhere(client, "Workload", "workloads").list(&Default::default()).await;
        let workloads = workloads.map_err(refused("list the workloads"))?;
        let others = workloads.items.into_iter().filter_map(|workload| {
            let spec = &workload.data["spec"];
            let owner = &spec["owner"];
            let own = workload.metadata.namespace.as_deref() == Some(super::NAMESPACE)
                && owner["projectName"] == project
                && owner["componentName"] == component;
            let image = spec["container"]["image"].as_str().map(str::to_owned);
            image.filter(|_| !own)
        });
        let bound = Bound {
            key: claims::key(project, component),
            claims: Claims::read(client).await?,
            others: others.collect(),
        };
        Ok(Self { bound: Some(bound), ..Self::of_all(access) })
    }

    /// The one of `names` by which the cluster, which has the images `there`, may be given an image.
    fn judge<'a>(&self, names: &'a BTreeSet<String>, there: &[Image]) -> Result<&'a str, Error> {
        let refuse = |image: &str, why: &str, next| {
            Err(Error::Image { image: image.to_owned(), why: why.to_owned(), next })
        };
        let one = "save one image by its name: `docker save NAME:TAG`";
        let name = match (names.first(), names.len()) {
            (None, _) => return refuse("the archive", "it has no image with a name", one),
            (Some(name), 1) => name,
            _ => return refuse("the archive", "it has more than one image or name", one),
        };
        if name.contains('@') {
            return refuse(name, "its name is a digest, which nobody has verified", one);
        }
        let other = "give the image another name or tag";
        if same(name, &self.platform) {
            return refuse(name, "the platform's own image has this name", other);
        }
        let Some(Bound { key, claims, others }) = &self.bound else { return Ok(name) };
        let known = there.iter().find(|image| has(image, name));
        let Some(known) = known else { return Ok(name) };
        if !claims.is_only_of(key, name, &known.id) || others.iter().any(|image| same(image, name))
        {
            let why = "the cluster has an image of this name that is not this component's alone";
            return refuse(name, why, other);
        }
        Ok(name)
    }
}

/// Sees to it that the cluster has the image, as far as this machine can and `rule` lets it.
///
/// # Errors
/// An image that cannot be had, or that the cluster may not be given.
pub(super) async fn have(
    access: &Access,
    origin: Origin,
    around: &Surroundings,
    rule: Rule,
) -> Result<Found, Error> {
    let name = match origin {
        Origin::Archive(reader) => return give(access, reader, rule).await,
        Origin::Name(name) => name,
    };
    let provider = curtain_provider::by_name(&access.instance().provider)?;
    let there = provider.images(&access.cluster()).await?;
    let there = there.into_iter().find(|image| has(image, &name));
    let (reference, ports, from) = match (local_image(around, &name).await?, &there) {
        // The very image: there is nothing to give.
        (Some(local), Some(there)) if local.id == there.id => {
            let full = there.references.iter().find(|one| same(one, &name));
            (full.cloned().unwrap_or(name), local.ports, "engine")
        }
        (Some(local), _) => {
            let found = give(access, local.archive(), rule).await?;
            return Ok(Found { ports: local.ports, from: "engine", ..found });
        }
        (None, Some(_)) => (name, Vec::new(), "cluster"),
        (None, None) => {
            layout(&name)?;
            match provider.look_up(&access.cluster(), &name).await {
                Err(curtain_provider::Error::NotInRegistry { why }) => {
                    return Err(nowhere(&name, &why));
                }
                result => result?,
            }
            (name, Vec::new(), "registry")
        }
    };
    Ok(Found { reference, id: there.map(|image| image.id), ports, from, given: false })
}

/// Gives the cluster the image in `tar`.
async fn give(access: &Access, tar: Box<dyn Read + Send>, rule: Rule) -> Result<Found, Error> {
    let provider = curtain_provider::by_name(&access.instance().provider)?;
    let admitted = Arc::new(OnceLock::new());
    // Goes with this call, also where it ends early: reading may go on by itself then.
    let waiting = Arc::new(());
    let admit = admitting(rule, &admitted, &waiting);
    let loaded = provider.load_image(&access.cluster(), tar, admit).await?;
    let reference = admitted.get().cloned().unwrap_or_default();
    let id = loaded.into_iter().find(|image| has(image, &reference)).map(|image| image.id);
    Ok(Found { reference, id, ports: Vec::new(), from: "archive", given: true })
}

/// Admits by `rule` what is loaded, as long as somebody holds `waiting`, and puts its name into `admitted`: whoever gave up
/// finds the cluster as it was, unless it had the image by then.
fn admitting(rule: Rule, admitted: &Arc<OnceLock<String>>, waiting: &Arc<()>) -> Admit {
    let (admitted, waiting) = (Arc::clone(admitted), Arc::downgrade(waiting));
    Box::new(move |names, there| {
        if waiting.strong_count() == 0 {
            return Err("nobody waits for it any more".to_owned());
        }
        let name = rule.judge(names, there).map_err(|error| error.to_string())?;
        admitted.get_or_init(|| name.to_owned());
        Ok(())
    })
}

fn has(image: &Image, name: &str) -> bool {
    image.references.iter().any(|one| same(one, name))
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINE: &str = "docker.io/library/mine:1";

    fn image(reference: &str, id: &str) -> Image {
        Image { references: vec![reference.to_owned()], id: id.to_owned(), size: 1, own: false }
    }

    fn rule(others: &[&str]) -> Rule {
        let claims = [("p_mine".to_owned(), format!("{MINE} sha256:1"))];
        Rule {
            platform: "localhost/curtain:1".to_owned(),
            bound: Some(Bound {
                key: "p_mine".to_owned(),
                claims: Claims(claims.into()),
                others: others.iter().map(|other| (*other).to_owned()).collect(),
            }),
        }
    }

    fn judged(rule: &Rule, names: &[&str]) -> Result<(), String> {
        let there =
            [image(MINE, "sha256:1"), image("theirs:1", "sha256:2"), image("run:1", "sha256:3")];
        let names = names.iter().map(|name| (*name).to_owned()).collect();
        rule.judge(&names, &there).map(drop).map_err(|error| error.to_string())
    }

    #[test]
    fn what_nobody_waits_for_any_more_is_not_given_to_the_cluster() {
        let (admitted, waiting) = (Arc::default(), Arc::new(()));
        let admit = |waiting| admitting(rule(&[]), &admitted, waiting);
        let (one, two) = (admit(&waiting), admit(&waiting));
        let names = ["new:1".to_owned()].into();
        one(&names, &[]).unwrap();
        assert_eq!(admitted.get().map(String::as_str), Some("new:1"));
        drop(waiting);
        assert!(two(&names, &[]).unwrap_err().contains("nobody waits"));
    }

    #[test]
    fn whoever_deploys_gives_one_name_that_is_not_the_platforms() {
        let all = Rule { bound: None, ..rule(&[]) };
        for rule in [all, rule(&[])] {
            judged(&rule, &["new:1"]).unwrap();
            let said = |names: &[&str]| judged(&rule, names).unwrap_err();
            assert!(said(&[]).contains("no image with a name"));
            assert!(said(&["new:1", "new:2"]).contains("more than one"));
            assert!(said(&["localhost/curtain:1"]).contains("the platform's own image"));
            assert!(said(&["x@sha256:12"]).contains("a digest"));
        }
    }

    #[test]
    fn what_others_run_keeps_its_name_and_what_one_was_given_may_be_given_anew() {
        let bound = rule(&["run:1"]);
        judged(&bound, &[MINE]).unwrap();
        for taken in ["docker.io/library/theirs:1", "docker.io/library/run:1"] {
            let said = judged(&bound, &[taken]).unwrap_err();
            assert!(said.contains("not this component's alone; give the image another"), "{said}");
            judged(&Rule { bound: None, ..rule(&[]) }, &[taken]).unwrap();
        }
        assert!(judged(&rule(&["mine:1"]), &[MINE]).is_err(), "another component runs it, too");
    }
}
