//! `curtain list`: the instances on this machine.

use curtain_appliance::{Listed, instances};
use jiff::Timestamp;

use crate::{
    context::Context,
    exit::Exit,
    failure::Failure,
    output::{self, table},
};

pub(crate) const EXAMPLES: &str = "\
Examples:
  curtain list
  curtain list -o json        # for a script";

pub(crate) async fn run(context: &Context) -> Result<Exit, Failure> {
    let all = instances(&context.homes).await?;
    if context.is_json() {
        output::json(&all);
    } else if all.is_empty() {
        output::line("There are no instances.");
        output::note("`curtain up` makes one.");
    } else {
        output::line(text(&all, Timestamp::now()).trim_end());
    }
    Ok(Exit::Ok)
}

fn text(all: &[Listed], now: Timestamp) -> String {
    let mut rows = vec![
        ["INSTANCE", "PROVIDER", "STATE", "AGE", "MEMORY MB", "PORTAL"].map(str::to_owned).to_vec(),
    ];
    let or_dash = |text: Option<String>| text.unwrap_or_else(|| "-".to_owned());
    rows.extend(all.iter().map(|one| {
        let age = |at: Timestamp| output::span(now.duration_since(at).as_secs().max(0));
        let state = match one.expires {
            Some(at) => format!("{}, expires {at}", one.state.label()),
            None => one.state.label().to_owned(),
        };
        vec![
            one.instance.clone(),
            or_dash(one.provider.clone()),
            state,
            or_dash(one.created.map(age)),
            or_dash(one.memory.map(|bytes| format!("{:.0}", bytes as f64 / 1e6))),
            or_dash(one.portal.clone()),
        ]
    }));
    table(&rows)
}

#[cfg(test)]
mod tests {
    use curtain_appliance::State;

    use super::*;

    #[test]
    fn an_instance_is_one_line_with_what_is_known_of_it() {
        let made: Timestamp = "2026-01-02T03:04:05Z".parse().unwrap();
        let running = Listed {
            instance: "ci".into(),
            provider: Some("embedded".into()),
            state: State::Running,
            created: Some(made),
            memory: Some(70_400_000),
            portal: Some("http://localhost:8080".into()),
            expires: None,
        };
        let half = Listed {
            instance: "half".into(),
            provider: None,
            state: State::Unfinished,
            created: None,
            memory: None,
            portal: None,
            expires: Some("2026-01-02T05:00:00Z".parse().unwrap()),
        };
        let now = "2026-01-02T05:06:00Z".parse().unwrap();
        insta::assert_snapshot!(text(&[running, half], now), @r"
        INSTANCE  PROVIDER  STATE                                     AGE    MEMORY MB  PORTAL
        ci        embedded  running                                   2h 1m  70         http://localhost:8080
        half      -         unfinished, expires 2026-01-02T05:00:00Z  -      -          -
        ");
    }
}
