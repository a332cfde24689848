//! Keeps values by key, in memory and in a file: each change is a line at its end, and now and then it is written anew.

use std::{
    collections::BTreeMap,
    fs::{File, OpenOptions},
    io::{BufRead as _, BufReader, Write as _},
    path::PathBuf,
    sync::{Mutex, PoisonError},
};

use http::StatusCode;
use serde_json::{Value, json};

use super::frame::{Answering, Call, Failure, Reply, Route, Service};

/// Where the file is without `CART_FILE`.
const USUAL: &str = "/tmp/carts";
/// Keys that are kept; the one that was not changed for longest goes first.
const MOST: usize = 2000;
/// Lines beyond the keys after which the file is written anew.
const SLACK: usize = 2000;

pub(super) struct CartStore(Mutex<Kept>);

struct Kept {
    path: PathBuf,
    file: File,
    lines: usize,
    values: BTreeMap<String, (u64, Value)>,
    change: u64,
}

impl CartStore {
    pub(super) fn open(path: Option<&str>) -> Result<Self, Failure> {
        let path = PathBuf::from(path.unwrap_or(USUAL));
        let opened = Kept::open(path.clone());
        opened.map(|kept| Self(Mutex::new(kept))).map_err(|error| {
            Failure::own(format!("cannot keep carts in {}: {error}", path.display()))
        })
    }
}

impl Kept {
    fn open(path: PathBuf) -> std::io::Result<Self> {
        if let Some(folder) = path.parent() {
            std::fs::create_dir_all(folder)?;
        }
        let file = OpenOptions::new().create(true).append(true).read(true).open(&path)?;
        let mut kept = Self { path, file, lines: 0, values: BTreeMap::new(), change: 0 };
        for line in BufReader::new(kept.file.try_clone()?).lines() {
            kept.lines += 1;
            // The last line may be cut off by a crash.
            let Ok(Value::Array(pair)) = serde_json::from_str(&line?) else { continue };
            if let [Value::String(key), value] = &pair[..] {
                kept.remember(key, value.clone());
            }
        }
        Ok(kept)
    }

    fn remember(&mut self, key: &str, value: Value) {
        self.change += 1;
        if value.is_null() {
            self.values.remove(key);
            return;
        }
        self.values.insert(key.to_owned(), (self.change, value));
        if self.values.len() > MOST
            && let Some(oldest) = self
                .values
                .iter()
                .min_by_key(|(_, (change, _))| *change)
                .map(|(key, _)| key.clone())
        {
            self.values.remove(&oldest);
        }
    }

    fn set(&mut self, key: &str, value: Value) -> std::io::Result<()> {
        writeln!(self.file, "{}", json!([key, value]))?;
        self.lines += 1;
        self.remember(key, value);
        if self.lines > self.values.len() + SLACK {
            self.rewrite()?;
        }
        Ok(())
    }

    fn rewrite(&mut self) -> std::io::Result<()> {
        let new = self.path.with_extension("new");
        let mut file = File::create(&new)?;
        for (key, (_, value)) in &self.values {
            writeln!(file, "{}", json!([key, value]))?;
        }
        std::fs::rename(&new, &self.path)?;
        self.file = OpenOptions::new().append(true).open(&self.path)?;
        self.lines = self.values.len();
        Ok(())
    }
}

impl Service for CartStore {
    fn routes(&self) -> &'static [Route] {
        const { &[Route::get("/keys/{id}"), Route::put("/keys/{id}"), Route::delete("/keys/{id}")] }
    }

    fn answer<'a>(&'a self, call: &'a Call) -> Answering<'a> {
        Box::pin(async move {
            let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            let value = match call.asks().0 {
                "GET" => {
                    let found = kept.values.get(&call.id).map(|(_, value)| value.clone());
                    let value = found.ok_or_else(|| Failure::missing("there is no such key"))?;
                    return Ok(Reply::json(&value));
                }
                "PUT" => call.json()?,
                _ => Value::Null,
            };
            kept.set(&call.id, value).map_err(|error| {
                let why = format!("cannot write to {}: {error}", kept.path.display());
                Failure::new(StatusCode::INSUFFICIENT_STORAGE, why)
            })?;
            Ok(Reply::json(&json!({ "kept": kept.values.len() })))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_survive_a_restart_and_the_file_stays_small() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("below/carts");
        let mut kept = Kept::open(path.clone()).unwrap();
        for round in 0..(SLACK + 100) {
            kept.set("a", json!(round)).unwrap();
        }
        kept.set("b", json!("gone soon")).unwrap();
        kept.set("b", Value::Null).unwrap();
        assert!(kept.lines < SLACK, "{} lines", kept.lines);
        drop(kept);
        std::fs::OpenOptions::new()
            .append(true)
            .open(&path)
            .unwrap()
            .write_all(b"[\"c\",")
            .unwrap();
        let kept = Kept::open(path).unwrap();
        let values: Vec<_> = kept.values.iter().map(|(key, (_, v))| (key.as_str(), v)).collect();
        assert_eq!(values, [("a", &json!(SLACK + 99))]);
    }

    #[test]
    fn what_was_not_changed_for_longest_goes_first() {
        let folder = tempfile::tempdir().unwrap();
        let mut kept = Kept::open(folder.path().join("carts")).unwrap();
        for key in 0..=MOST {
            kept.remember(&format!("key-{key}"), json!(1));
        }
        assert_eq!(kept.values.len(), MOST);
        assert!(!kept.values.contains_key("key-0") && kept.values.contains_key("key-1"));
    }
}
