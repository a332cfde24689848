//! Each kind of change that a person can grant to an agent: it allows that and nothing else, for as long as it stands,
//! and every door says the same of it.

#![allow(clippy::unwrap_used)]

mod doors;
mod stage;

use std::time::Duration;

use curtain_e2e::{Visitor, eventually};

use doors::{only_what_stays_is_gone_back_to, the_same_at_every_door};
use stage::Stage;

const LIMIT: Duration = Duration::from_secs(30);
const BINDINGS: &str = "/api/v1/namespaces/default/releasebindings";

/// A kind, another that it does not allow, and whether it is granted and taken back in the portal or by command.
const KINDS: [(&str, &[&str], bool); 4] = [
    ("restart", &["scale", "config-fix", "deploy"], true),
    ("scale", &["rollback", "deploy"], false),
    ("rollback", &["restart", "config-fix", "deploy"], true),
    // Whoever may bring a release somewhere may change what runs there, and not take it away.
    ("deploy", &["delete"], false),
];

#[test]
fn each_kind_allows_that_and_nothing_else_at_every_door() {
    let mut stage = Stage::set();
    let portal = Visitor::enter(&stage.instance, "admin");
    for (kind, others, in_portal) in KINDS {
        let command = stage.refused(kind);
        assert!(stage.granted(&portal).is_empty());
        if in_portal {
            let fields = [
                ("agent", "claude-1"),
                ("kind", kind),
                ("environment", "staging"),
                ("project", "default"),
                ("minutes", "60"),
            ];
            let answer = portal.submit("/agents/grant", &fields);
            assert_eq!(answer.status, 303, "{answer:?}");
        } else {
            stage.instance.shell(&command).success();
        }
        assert_eq!(stage.granted(&portal), [kind]);
        eventually("the grant to count", LIMIT, || stage.attempt(kind));
        for other in others {
            if *other == "delete" {
                let refusal = stage.attempt(other).unwrap_err();
                assert!(refusal.contains("releasebinding:delete"), "{refusal}");
            } else {
                stage.refused(other);
            }
        }
        if in_portal {
            let fields = [("agent", "claude-1"), ("kind", kind)];
            let answer = portal.submit("/agents/revoke", &fields);
            assert_eq!(answer.status, 303, "{answer:?}");
        } else {
            stage.instance.curtain(&["agent", "revoke", "claude-1", kind]).success();
        }
        assert!(stage.granted(&portal).is_empty());
        eventually("the agent to be stopped", LIMIT, || match stage.attempt(kind) {
            Err(_) => Ok(()),
            Ok(()) => Err("it may still".to_owned()),
        });
        assert_eq!(stage.refused(kind), command);
    }
    the_same_at_every_door(&mut stage);
    only_what_stays_is_gone_back_to(&mut stage);
    drop(stage.claude);
    stage.instance.down();
}
