//! Which process owns an instance, told apart from any later one that has the same id.

use std::io;

use curtain_machine::process;
use serde::{Deserialize, Serialize};

use crate::Error;

/// A process of this machine.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Owner {
    /// Its id.
    pub(crate) pid: i32,
    /// When it started: an id is given out again, the two together are not.
    start: u64,
    /// The boot that this counts from, where it counts from one.
    boot: String,
    /// The process namespace that the id belongs to.
    namespace: String,
    /// The machine whose boot it is, where it has an id: homes may lie on a file system that several machines share.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    machine: Option<String>,
}

impl Owner {
    /// This process.
    ///
    /// # Errors
    /// A system that does not show it.
    pub(crate) fn this() -> Result<Self, Error> {
        let id = std::process::id();
        let look = || -> io::Result<Self> {
            let start = process::started(id)?.ok_or_else(|| io::Error::other("it is not there"))?;
            let pid = i32::try_from(id).map_err(io::Error::other)?;
            let (boot, namespace) = (process::boot()?, process::namespace()?);
            Ok(Self { pid, start, boot, namespace, machine: process::machine() })
        };
        look().map_err(|source| Error::file("look at", format!("process {id}"), source))
    }

    /// Whether the process may still be there: what cannot be known counts as alive.
    pub(crate) fn lives(&self) -> bool {
        // Another machine has another boot, and that says nothing about its processes.
        if self.machine.is_some() && self.machine != process::machine() {
            return true;
        }
        let (Ok(boot), Ok(namespace)) = (process::boot(), process::namespace()) else {
            return true;
        };
        if boot != self.boot {
            return false;
        }
        // From another namespace its id says nothing.
        if namespace != self.namespace {
            return true;
        }
        let Ok(id) = u32::try_from(self.pid) else { return false };
        process::started(id).map_or(true, |start| start == Some(self.start))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_process_lives_and_one_of_the_same_id_is_another() {
        let this = Owner::this().unwrap();
        assert!(this.lives());
        assert!(!Owner { start: this.start + 1, ..this.clone() }.lives(), "the id was reused");
        assert!(
            !Owner { boot: "before".to_owned(), ..this.clone() }.lives(),
            "the machine restarted"
        );
        let other = Owner {
            machine: Some("0".repeat(32)),
            boot: "before".to_owned(),
            start: 0,
            ..this.clone()
        };
        assert!(other.lives(), "another machine's process cannot be seen from here");
        let elsewhere = Owner { namespace: "pid:[1]".to_owned(), start: 0, ..this };
        assert!(elsewhere.lives(), "what cannot be known counts as alive");
    }

    #[test]
    fn an_owner_that_was_recorded_without_its_machine_is_one_of_this() {
        let recorded = r#"{"pid":1,"start":0,"boot":"before","namespace":"pid:[1]"}"#;
        let owner: Owner = serde_json::from_str(recorded).unwrap();
        assert_eq!(owner.machine, None);
        assert!(!owner.lives(), "the machine restarted");
        let this = Owner::this().unwrap();
        let again: Owner = serde_json::from_str(&serde_json::to_string(&this).unwrap()).unwrap();
        assert_eq!(again, this);
    }
}
