//! Where a query may look: where its caller may, and where there is something.
//!
//! A place of which anything is stored is one, even if it is no more: telemetry outlives components. Of any other, the
//! control plane knows whether it is a misspelt name.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use curtain_control::authz::{Gate, Named};
use curtain_control::mcp::Call;

use super::Refusal;
use crate::asked::Place;
use crate::database::{Database, DatabaseError, run};

/// How long a place that there is stays one without a look.
const REMEMBERED: Duration = Duration::from_secs(10);
/// Places that are remembered at most.
const MOST_KNOWN: usize = 1024;

/// What decides of places.
#[derive(Clone, Debug)]
pub(crate) struct Places {
    gate: Arc<Gate>,
    /// In the order in which they are asked.
    kept: Arc<[Database]>,
    known: Arc<Mutex<HashMap<Place, Instant>>>,
}

impl Places {
    /// With all that is kept.
    pub(crate) fn new(gate: Arc<Gate>, kept: impl IntoIterator<Item = Database>) -> Self {
        Places { gate, kept: kept.into_iter().collect(), known: Arc::default() }
    }

    /// The same for a signal that keeps its telemetry in `own`: that is asked first, so that most queries wait for no
    /// other signal's readers. What is remembered is shared.
    pub(crate) fn of(&self, own: &Database) -> Self {
        let mut kept: Vec<Database> = self.kept.to_vec();
        kept.sort_by_key(|one| !one.is(own));
        Places { kept: kept.into(), ..self.clone() }
    }

    /// Refuses what the caller may not do there.
    pub(crate) async fn check(
        &self,
        call: Call<'_>,
        action: &str,
        place: &Place,
    ) -> Result<(), Refusal> {
        Ok(self.gate.check(call, action, place.site()).await?)
    }

    /// The same for a place that the caller named, which there has to be.
    pub(crate) async fn admit(
        &self,
        call: Call<'_>,
        action: &str,
        place: &Place,
    ) -> Result<(), Refusal> {
        self.check(call, action, place).await?;
        if self.has(place.clone()).await? {
            return Ok(());
        }
        let Place { namespace, project, component, environment } = place;
        let within = Place { namespace: namespace.clone(), ..Place::default() };
        let of = |project: &String| Place { project: project.clone(), ..within.clone() };
        let mut names = vec![(Named::Namespace, within.clone())];
        if !project.is_empty() {
            names.push((Named::Project(project), of(project)));
        }
        if !component.is_empty() {
            let place = Place { component: component.clone(), ..of(project) };
            names.push((Named::Component(project, component), place));
        }
        if !environment.is_empty() {
            let place = Place { environment: environment.clone(), ..within };
            names.push((Named::Environment(environment), place));
        }
        for (named, place) in names {
            if self.has(place).await? {
                continue;
            }
            if let Some(absent) = self.gate.absent(call.token, namespace, named).await? {
                return Err(Refusal::Absent(absent));
            }
        }
        Ok(())
    }

    /// Whether anything is stored of it.
    async fn has(&self, place: Place) -> Result<bool, DatabaseError> {
        if self.knows(&place) {
            return Ok(true);
        }
        let asked = place.clone();
        let has = run(&self.kept, move |kept| {
            for one in kept.iter() {
                if one.has(&asked)? {
                    return Ok(true);
                }
            }
            Ok(false)
        })
        .await?;
        if has {
            self.remember(place);
        }
        Ok(has)
    }

    fn knows(&self, place: &Place) -> bool {
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        known.get(place).is_some_and(|since| since.elapsed() < REMEMBERED)
    }

    fn remember(&self, place: Place) {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if known.len() >= MOST_KNOWN {
            known.retain(|_, since| since.elapsed() < REMEMBERED);
        }
        if known.len() < MOST_KNOWN {
            known.insert(place, Instant::now());
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use curtain_control::authz::Via;
    use curtain_role::Instance;

    use super::*;
    use crate::database::Layout;

    const LAYOUT: Layout = Layout {
        version: 1,
        tables:
            "CREATE TABLE thing (namespace TEXT, project TEXT, component TEXT, environment TEXT);
                 INSERT INTO thing VALUES ('team', 'shop', 'web', 'development');",
        owners: "thing",
    };

    /// Keeps the reader of a database until the sender is dropped.
    fn hold(database: &Database) -> mpsc::Sender<()> {
        let (held, holds) = mpsc::channel();
        let (end, ended) = mpsc::channel::<()>();
        let database = database.clone();
        std::thread::spawn(move || {
            database.read(|_| {
                held.send(()).expect("somebody waits");
                let _ = ended.recv();
                Ok(())
            })
        });
        holds.recv().expect("holds it");
        end
    }

    #[tokio::test]
    async fn what_is_in_the_own_database_waits_for_no_other_and_is_remembered() {
        let directory = tempfile::tempdir().expect("a directory");
        let open = |name: &str| Database::open(&directory.path().join(name), LAYOUT);
        let (other, own) = (open("other.db").expect("opens"), open("own.db").expect("opens"));
        let nowhere = http::Uri::from_static("http://127.0.0.1:1");
        let gate = Arc::new(Gate::new(&nowhere, Instance::default(), Via::Observer));
        let all = Places::new(gate, [other.clone(), own.clone()]);
        let place = Place {
            namespace: "team".into(),
            project: "shop".into(),
            component: "web".into(),
            environment: "development".into(),
        };
        let ask = async |places: &Places| {
            let has = tokio::time::timeout(Duration::from_secs(5), places.has(place.clone()));
            has.await.expect("does not wait").expect("asks")
        };
        let _other = hold(&other);
        assert!(ask(&all.of(&own)).await);
        let _own = hold(&own);
        assert!(ask(&all).await, "it was there a moment ago");
    }
}
