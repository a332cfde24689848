//! An entry in the configuration file of an MCP client.
//!
//! The file belongs to the user. It is edited in place, keeping comments; what it was is kept in the instance's folder.
//! Undoing takes back only the entry, and restores the file byte for byte where nothing else differs from what it was;
//! an entry that the user changed is the user's.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{
    Error,
    clients::{self, Place, Syntax, edit},
    effect::{Boxed, Step},
    steps::origin::{self, Origin, Rest},
    world::World,
};

/// The entry.
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
        let text = edit::read(&place.path)?.unwrap_or_default();
        // All of it is read when the entry goes again: what cannot be read then is not begun with.
        clients::value(place.syntax, &place.path, &text)?;
        clients::set(place.syntax, &place.path, &text, place.table, entry, &value)?;
        Ok(Self {
            client: client.to_owned(),
            agent: agent.to_owned(),
            path: place.path.clone(),
            syntax: place.syntax,
            table: place.table.to_owned(),
            entry: entry.to_owned(),
            value,
        })
    }

    /// Whether the place of the entry in the file is nobody else's: free, or as this step wrote it.
    pub(crate) fn holds_its_place(&self) -> Result<bool, Error> {
        let text = edit::read(&self.path)?.unwrap_or_default();
        Ok(self.entry_in(&text)?.is_none_or(|value| value == self.value))
    }

    fn entry_in(&self, text: &str) -> Result<Option<Value>, Error> {
        clients::get(self.syntax, &self.path, text, &self.table, &self.entry)
    }

    /// Writes the entry. The caller holds the guard of all instances.
    async fn write(&self, world: &World<'_>) -> Result<(), Error> {
        let (_lock, text) = Origin::keep(world.home, &self.path).await?;
        let text = text.unwrap_or_default();
        if self.entry_in(&text)?.as_ref() == Some(&self.value) {
            return Ok(());
        }
        edit::write(
            &self.path,
            &clients::set(self.syntax, &self.path, &text, &self.table, &self.entry, &self.value)?,
        )
    }

    /// `text` without the entry, if that is in it as it was written. `before` is the text from before any entry, where
    /// that is known.
    fn without(&self, text: &str, before: Option<&str>) -> Result<Option<Rest>, Error> {
        // Touch nothing but our own entry.
        if self.entry_in(text)?.as_ref() != Some(&self.value) {
            return Ok(None);
        }
        let (syntax, path, table) = (self.syntax, &self.path, &self.table);
        let known = before.is_some();
        let before = before.unwrap_or_default();
        let text = match self.entry_in(before)? {
            Some(entry) => clients::set(syntax, path, text, table, &self.entry, &entry)?,
            None => {
                // A table that was not there goes with its last entry.
                let ours = known && clients::value(syntax, path, before)?.get(table).is_none();
                clients::unset(syntax, path, text, table, &self.entry, ours)?
            }
        };
        let as_before = known && clients::same(syntax, path, &text, before)?;
        Ok(Some(Rest { text, as_before }))
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
        Box::pin(origin::take_back(world.home, &self.path, |text, before| {
            self.without(text, before)
        }))
    }
}

#[cfg(test)]
mod tests {
    use std::{fs, path::Path, time::Duration};

    use serde_json::json;

    use super::*;
    use crate::{
        Home, Homes, clients::Client, home::create_private, ledger::Ledger, progress::Silent,
    };

    const BEFORE: &str =
        "{\n  // mine\n  \"mcpServers\": { \"other\": { \"command\": \"x\" } }\n}\n";

    fn home(dir: &Path) -> Home {
        instance(dir, "x")
    }

    fn instance(dir: &Path, name: &str) -> Home {
        let home = Homes::new(dir.join("data")).instance(&name.parse().unwrap());
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
    async fn two_instances_in_one_file_leave_it_as_it_was_in_whatever_order_they_go() {
        for client in clients::CLIENTS {
            for before in [None, Some(own_servers(client)), Some(no_servers(client))] {
                for first_in_first_out in [true, false] {
                    let dir = tempfile::tempdir().unwrap();
                    let place = client.place(&clients::Scope::Project(dir.path().join("p")));
                    if let Some(text) = before {
                        fs::create_dir_all(place.path.parent().unwrap()).unwrap();
                        fs::write(&place.path, text).unwrap();
                    }
                    let homes = ["a", "b"].map(|name| instance(dir.path(), name));
                    let worlds = homes.each_ref().map(world);
                    let steps = ["curtain", "curtain-b"].map(|entry| {
                        let value = json!({ "command": entry, "args": ["mcp"] });
                        ClientStep::prepare(client.name(), "x-1", &place, entry, value).unwrap()
                    });
                    for (step, world) in steps.iter().zip(&worlds) {
                        step.act(world).await.unwrap();
                    }
                    let mut both: Vec<_> = steps.iter().zip(&worlds).collect();
                    if !first_in_first_out {
                        both.reverse();
                    }
                    both[0].0.undo(both[0].1).await.unwrap();
                    assert!(both[1].0.probe(both[1].1).await.unwrap(), "the other's entry stays");
                    both[1].0.undo(both[1].1).await.unwrap();
                    let after = fs::read_to_string(&place.path).ok();
                    assert_eq!(after.as_deref(), before, "{client:?} {first_in_first_out}");
                    assert_eq!(dir.path().join("p").exists(), before.is_some(), "{client:?}");
                }
            }
        }
    }

    fn own_servers(client: Client) -> &'static str {
        match client {
            Client::Codex => "# mine\n[mcp_servers]\nother = { command = \"x\" } # keep\n",
            Client::VsCode => "{ \"servers\": { \"other\": {\"command\": \"x\"} }, /* mine */ }",
            _ => BEFORE,
        }
    }

    /// The table's name is in it, the table is not.
    fn no_servers(client: Client) -> &'static str {
        match client {
            Client::Codex => "note = \"mcp_servers go here\"\n",
            _ => "{ \"note\": \"servers and mcpServers go here\" }\n",
        }
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
