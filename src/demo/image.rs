//! The image of a service, which is in its workload: a release follows by itself where the newest one runs.

use serde_json::{Value, json};

use crate::record::{Changed, Record};

/// Where a workload has its image.
pub const IMAGE: &str = "/spec/container/image";

/// What becomes of the image of a workload.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Image {
    /// The workload was changed and is to be written.
    PutBack,
    /// It was as before the fault: it never got that far, perhaps.
    AsBefore,
    /// Somebody has changed it since, and it is kept.
    Kept,
}

impl Image {
    /// Gives `workload` an image that does not exist: the same with another tag.
    pub fn break_it(workload: &mut Value) -> Record {
        let before = image(workload).to_owned();
        let name = before.rsplit_once(':').map_or(before.as_str(), |(name, _)| name);
        let after = json!(format!("{name}:no-such-tag"));
        workload["spec"]["container"]["image"] = after.clone();
        let changed = Changed { before: json!(before), after };
        Record { image: Some(changed), ..Record::default() }
    }

    /// Gives `workload` its own image again, if it still has the one of the fault.
    pub fn heal(workload: &mut Value, changed: &Changed) -> Self {
        let now = json!(image(workload));
        if now == changed.after {
            workload["spec"]["container"]["image"] = changed.before.clone();
            return Self::PutBack;
        }
        if now == changed.before { Self::AsBefore } else { Self::Kept }
    }
}

fn image(workload: &Value) -> &str {
    workload.pointer(IMAGE).and_then(Value::as_str).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_image_comes_back_unless_somebody_gave_it_another() {
        let workload = |image: &str| json!({ "spec": { "container": { "image": image } } });
        for (own, missing) in [("shop:1", "shop:no-such-tag"), ("shop", "shop:no-such-tag")] {
            let mut changed = workload(own);
            let record = Image::break_it(&mut changed).image.unwrap();
            assert_eq!(changed, workload(missing));
            assert_eq!(Image::heal(&mut changed, &record), Image::PutBack);
            assert_eq!(changed, workload(own));
            assert_eq!(Image::heal(&mut changed, &record), Image::AsBefore);
            let mut other = workload("shop:2");
            assert_eq!(Image::heal(&mut other, &record), Image::Kept);
            assert_eq!(other, workload("shop:2"));
        }
    }
}
