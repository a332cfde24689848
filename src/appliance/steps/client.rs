//! An entry in the configuration file of an MCP client.
//!
//! The file belongs to the user. It is edited in place, keeping comments; what it was is kept beside
//! the ledger. Undoing restores it byte for byte if nobody touched it since, and otherwise takes back
//! only the entry; an entry that the user changed is the user's.

use std::{fs, path::PathBuf};

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{
    Error,
    clients::{self, Place, Syntax, edit},
    effect::{Boxed, Step},
    home::{create_private, remove, write_atomic},
    world::World,
};

/// The entry and what the file was before it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ClientStep {
    /// The client's name.
    pub client: String,
    /// The agent it acts as.
    pub agent: String,
    /// The file.
    pub path: PathBuf,
    /// Its syntax.
    pub syntax: Syntax,
    /// The table that holds the servers.
    pub table: String,
    /// The entry's name in it.
    pub entry: String,
    /// What is written.
    pub value: Value,
    /// SHA-256 of the file before; absent if there was no file.
    pub former: Option<String>,
    /// SHA-256 of the file with the entry.
    pub written: String,
    /// Folders that did not exist before, outermost first.
    pub created: Vec<PathBuf>,
}

impl ClientStep {
    /// Works out the edit without doing it.
    ///
    /// # Errors
    /// A file that cannot be read or edited.
    pub(crate) fn prepare(
        client: &str,
        agent: &str,
        place: &Place,
        entry: &str,
        value: Value,
    ) -> Result<Self, Error> {
        let former = edit::read(&place.path)?;
        let text = former.as_deref().unwrap_or_default();
        let written = clients::set(place.syntax, &place.path, text, place.table, entry, &value)?;
        let missing = place.path.ancestors().skip(1).take_while(|folder| !folder.exists());
        let mut created: Vec<PathBuf> = missing.map(PathBuf::from).collect();
        created.reverse();
        Ok(Self {
            client: client.to_owned(),
            agent: agent.to_owned(),
            path: place.path.clone(),
            syntax: place.syntax,
            table: place.table.to_owned(),
            entry: entry.to_owned(),
            value,
            former: former.as_deref().map(edit::digest),
            written: edit::digest(&written),
            created,
        })
    }

    /// Where the former text is kept.
    fn kept(&self, world: &World<'_>) -> PathBuf {
        let name: String = edit::digest(&self.path.to_string_lossy()).chars().take(12).collect();
        world.home.path().join("kept").join(name)
    }

    fn entry_in(&self, text: &str) -> Result<Option<Value>, Error> {
        clients::get(self.syntax, &self.path, text, &self.table, &self.entry)
    }

    fn write(&self, world: &World<'_>) -> Result<(), Error> {
        if let Some(folder) = self.path.parent() {
            create_private(folder)?;
        }
        let _lock = edit::lock(&self.path)?;
        let text = edit::read(&self.path)?;
        if text.as_deref().map(edit::digest) == self.former {
            if let Some(text) = &text {
                let kept = self.kept(world);
                create_private(kept.parent().unwrap_or(world.home.path()))?;
                write_atomic(&kept, text.as_bytes(), 0o600)?;
            }
        }
        let text = text.unwrap_or_default();
        if self.entry_in(&text)?.as_ref() == Some(&self.value) {
            return Ok(());
        }
        edit::write(
            &self.path,
            &clients::set(self.syntax, &self.path, &text, &self.table, &self.entry, &self.value)?,
        )
    }

    fn restore(&self, world: &World<'_>) -> Result<usize, Error> {
        if !self.path.parent().is_some_and(std::path::Path::is_dir) {
            return Ok(0);
        }
        let _lock = edit::lock(&self.path)?;
        let Some(text) = edit::read(&self.path)? else { return Ok(self.remove_folders()) };
        let digest = edit::digest(&text);
        if Some(&digest) == self.former.as_ref() {
            return Ok(0);
        }
        let kept = edit::read(&self.kept(world))?;
        if digest == self.written {
            match (&self.former, &kept) {
                (None, _) => {
                    remove(&self.path)?;
                    return Ok(1 + self.remove_folders());
                }
                (Some(_), Some(former)) => {
                    edit::write(&self.path, former)?;
                    return Ok(1);
                }
                (Some(_), None) => {}
            }
        }
        // Somebody wrote to the file since: touch nothing but our own entry.
        if self.entry_in(&text)?.as_ref() != Some(&self.value) {
            return Ok(0);
        }
        let before = kept.as_deref().unwrap_or_default();
        let restored = match self.entry_in(before)? {
            Some(former) => {
                clients::set(self.syntax, &self.path, &text, &self.table, &self.entry, &former)?
            }
            None => {
                let with_table = !before.contains(&self.table);
                clients::unset(
                    self.syntax,
                    &self.path,
                    &text,
                    &self.table,
                    &self.entry,
                    with_table,
                )?
            }
        };
        edit::write(&self.path, &restored)?;
        Ok(1)
    }

    fn remove_folders(&self) -> usize {
        self.created.iter().rev().filter(|folder| fs::remove_dir(folder).is_ok()).count()
    }
}

impl Step for ClientStep {
    fn name(&self) -> String {
        // One entry per file: installing for a project does not forget the user's own file.
        format!("client/{}:{}", self.client, self.path.display())
    }

    fn title(&self) -> String {
        format!("entry for {} in {}", self.client, self.path.display())
    }

    fn probe<'a>(&'a self, _: &'a World<'_>) -> Boxed<'a, Result<bool, Error>> {
        Box::pin(async move {
            let text = edit::read(&self.path)?.unwrap_or_default();
            Ok(self.entry_in(&text)?.as_ref() == Some(&self.value))
        })
    }

    fn act<'a>(&'a self, world: &'a World<'_>) -> Boxed<'a, Result<(), Error>> {
        Box::pin(async move { self.write(world) })
    }

    fn undo<'a>(&'a self, world: &'a World<'_>) -> Boxed<'a, Result<usize, Error>> {
        Box::pin(async move { self.restore(world) })
    }
}
