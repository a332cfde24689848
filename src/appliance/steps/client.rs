//! An entry in the configuration file of an MCP client.
//!
//! The file belongs to the user. It is edited in place, keeping comments; what it was is kept beside
//! the ledger. Undoing restores it byte for byte if nobody touched it since, and otherwise takes back
//! only the entry; an entry that the user changed is the user's.

use std::path::PathBuf;

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
pub(crate) struct ClientStep {
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
            created: edit::missing_folders(&place.path),
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

    async fn write(&self, world: &World<'_>) -> Result<(), Error> {
        if let Some(folder) = self.path.parent() {
            create_private(folder)?;
        }
        let _lock = edit::lock(&self.path).await?;
        let text = edit::read(&self.path)?;
        if text.as_deref().map(edit::digest) == self.former
            && let Some(text) = &text
        {
            let kept = self.kept(world);
            create_private(kept.parent().unwrap_or(world.home.path()))?;
            write_atomic(&kept, text.as_bytes(), 0o600)?;
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

    async fn restore(&self, world: &World<'_>) -> Result<usize, Error> {
        if !self.path.parent().is_some_and(std::path::Path::is_dir) {
            return Ok(edit::remove_folders(&self.created));
        }
        let _lock = edit::lock(&self.path).await?;
        edit::clean(&self.path)?;
        let Some(text) = edit::read(&self.path)? else {
            return Ok(edit::remove_folders(&self.created));
        };
        let digest = edit::digest(&text);
        if Some(&digest) == self.former.as_ref() {
            return Ok(0);
        }
        let kept = edit::read(&self.kept(world))?;
        if digest == self.written {
            match (&self.former, &kept) {
                (None, _) => {
                    remove(&self.path)?;
                    return Ok(1 + edit::remove_folders(&self.created));
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
        Box::pin(self.write(world))
    }

    fn undo<'a>(&'a self, world: &'a World<'_>) -> Boxed<'a, Result<usize, Error>> {
        Box::pin(self.restore(world))
    }
}

#[cfg(test)]
mod tests {
    use std::{fs, path::Path, time::Duration};

    use serde_json::json;

    use super::*;
    use crate::{Home, Homes, clients::Client, ledger::Ledger, progress::Silent};

    const BEFORE: &str =
        "{\n  // mine\n  \"mcpServers\": { \"other\": { \"command\": \"x\" } }\n}\n";

    fn home(dir: &Path) -> Home {
        let home = Homes::new(dir.join("data")).instance(&"x".parse().unwrap());
        create_private(home.path()).unwrap();
        home
    }

    fn world(home: &Home) -> World<'_> {
        let ledger = Ledger::open(&home.ledger()).unwrap();
        World::new(home, None, ledger, &Silent, Duration::from_secs(5))
    }

    fn step(dir: &Path) -> ClientStep {
        let scope = clients::Scope::Project(dir.to_owned());
        let place = Client::Cursor.place(&scope);
        let value = json!({ "command": "/c", "args": ["mcp"] });
        ClientStep::prepare("cursor", "cursor-1", &place, "curtain", value).unwrap()
    }

    fn write(dir: &Path, text: &str) {
        fs::create_dir_all(dir.join(".cursor")).unwrap();
        fs::write(dir.join(".cursor/mcp.json"), text).unwrap();
    }

    fn read(dir: &Path) -> String {
        fs::read_to_string(dir.join(".cursor/mcp.json")).unwrap()
    }

    #[tokio::test]
    async fn an_untouched_file_is_restored_byte_for_byte_even_after_repetitions() {
        let dir = tempfile::tempdir().unwrap();
        write(dir.path(), BEFORE);
        let home = home(dir.path());
        let (step, world) = (step(dir.path()), world(&home));
        assert!(!step.probe(&world).await.unwrap());
        step.act(&world).await.unwrap();
        step.act(&world).await.unwrap();
        assert!(step.probe(&world).await.unwrap());
        assert!(read(dir.path()).contains("\"curtain\""));
        assert_eq!(step.undo(&world).await.unwrap(), 1);
        assert_eq!(read(dir.path()), BEFORE);
        assert_eq!(step.undo(&world).await.unwrap(), 0, "a second time finds nothing to do");
    }

    #[tokio::test]
    async fn a_file_and_folder_that_were_made_for_the_entry_go_with_it() {
        let dir = tempfile::tempdir().unwrap();
        let home = home(dir.path());
        let (step, world) = (step(dir.path()), world(&home));
        step.act(&world).await.unwrap();
        assert!(step.undo(&world).await.unwrap() >= 2);
        assert!(!dir.path().join(".cursor").exists());
    }

    #[tokio::test]
    async fn what_the_user_wrote_since_stays() {
        let dir = tempfile::tempdir().unwrap();
        write(dir.path(), BEFORE);
        let home = home(dir.path());
        let (step, world) = (step(dir.path()), world(&home));
        step.act(&world).await.unwrap();
        let edited = read(dir.path()).replace("// mine", "// mine, and more");
        write(dir.path(), &edited);
        assert_eq!(step.undo(&world).await.unwrap(), 1);
        let after = read(dir.path());
        assert!(after.contains("// mine, and more") && after.contains("\"other\""), "{after}");
        assert!(!after.contains("\"curtain\""), "{after}");
    }

    #[tokio::test]
    async fn an_entry_that_the_user_changed_is_the_users() {
        let dir = tempfile::tempdir().unwrap();
        write(dir.path(), BEFORE);
        let home = home(dir.path());
        let (step, world) = (step(dir.path()), world(&home));
        step.act(&world).await.unwrap();
        let edited = read(dir.path()).replace("\"/c\"", "\"/mine\"");
        write(dir.path(), &edited);
        assert_eq!(step.undo(&world).await.unwrap(), 0);
        assert_eq!(read(dir.path()), edited);
    }

    #[tokio::test]
    async fn a_crash_before_the_write_leaves_nothing_to_undo() {
        let dir = tempfile::tempdir().unwrap();
        write(dir.path(), BEFORE);
        let home = home(dir.path());
        let (step, world) = (step(dir.path()), world(&home));
        assert_eq!(step.undo(&world).await.unwrap(), 0);
        assert_eq!(read(dir.path()), BEFORE);
    }

    #[test]
    fn a_file_that_cannot_be_read_is_refused_and_left() {
        let dir = tempfile::tempdir().unwrap();
        write(dir.path(), "{ nonsense");
        let scope = clients::Scope::Project(dir.path().to_owned());
        let place = Client::Cursor.place(&scope);
        let refused = ClientStep::prepare("cursor", "a", &place, "curtain", json!({})).unwrap_err();
        assert!(refused.to_string().contains("left as it is"), "{refused}");
        assert_eq!(read(dir.path()), "{ nonsense");
    }
}
