//! What every command does first: removing instances that nobody wants any more.

use std::time::Duration;

use curtain_appliance::{Over, Reaped, reap as remove};

use crate::{context::Context, exit::Exit, failure::Failure, output, verbs::Verb};

/// How long it may take: whoever called wants something else.
const MOST: Duration = Duration::from_secs(20);

/// Removes instances whose `curtain run` was killed and those that have expired. It never fails: what could not be
/// removed is said, and the command goes on.
pub(crate) async fn reap(verb: &Verb, context: &Context) -> Result<Exit, Failure> {
    if verb.only_talks() {
        return Ok(Exit::Ok);
    }
    let spared = verb.takes_it_as_it_is().then(|| context.home.name());
    let limit = context.timeout.map_or(MOST, |timeout| timeout.min(MOST));
    let reaped = remove(&context.homes, spared, limit, &context.faults).await;
    for line in lines(&reaped) {
        output::note(&line);
    }
    Ok(Exit::Ok)
}

/// One line for all that was removed, and one for each that was not.
fn lines(reaped: &[Reaped]) -> Vec<String> {
    let (mut gone, mut lines) = (Vec::new(), Vec::new());
    for one in reaped {
        let name = &one.instance;
        let why = match one.why {
            Some(Over::Orphaned { pid }) => {
                format!(" (its `curtain run`, process {pid}, was killed)")
            }
            Some(Over::Expired { at }) => format!(" (expired {at})"),
            None => String::new(),
        };
        let left = match &one.outcome {
            Ok(down) if down.leftovers.is_empty() => {
                gone.push(format!("{name}{why}"));
                continue;
            }
            Ok(down) => {
                let left =
                    down.leftovers.iter().map(|left| format!("{}: {}", left.kind, left.name));
                format!("left: {}", left.collect::<Vec<_>>().join(", "))
            }
            Err(error) => error.to_string(),
        };
        lines.push(format!(
            "could not remove instance {name}{why}: {left}; `curtain down --name {name}` tries again"
        ));
    }
    if !gone.is_empty() {
        let noun = if gone.len() == 1 { "instance" } else { "instances" };
        lines.insert(0, format!("removed {noun} {}", gone.join(", ")));
    }
    lines
}

#[cfg(test)]
mod tests {
    use curtain_appliance::{Down, Error};

    use super::*;

    #[test]
    fn one_line_says_what_is_gone_and_each_failure_has_its_own() {
        let gone = |instance: &str, why| {
            let down = Down {
                instance: instance.into(),
                removed: 1,
                leftovers: Vec::new(),
                kept: Vec::new(),
            };
            Reaped { instance: instance.into(), why: Some(why), outcome: Ok(down) }
        };
        let at = "2026-05-04T03:02:01Z".parse().unwrap();
        let busy = Error::Injected { at: "x".to_owned() };
        let reaped = [
            gone("a", Over::Orphaned { pid: 7 }),
            Reaped { instance: "b".into(), why: Some(Over::Expired { at }), outcome: Err(busy) },
            gone("c", Over::Expired { at }),
        ];
        assert_eq!(
            lines(&reaped),
            [
                "removed instances a (its `curtain run`, process 7, was killed), c (expired 2026-05-04T03:02:01Z)",
                "could not remove instance b (expired 2026-05-04T03:02:01Z): a fault was injected at x; \
                 `curtain down --name b` tries again",
            ]
        );
        assert!(lines(&[]).is_empty());
    }
}
