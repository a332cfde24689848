//! What the rules say of all kinds of trouble, and of none.

use super::world::World;
use crate::sre::apply;
use crate::sre::conclude::conclude;
use crate::sre::evidence::Evidence;
use crate::sre::report::{Action, Nothing, Outcome, Report};
use crate::sre::rules::judge;

fn report(world: World) -> Report {
    conclude(&world.0, judge(&world.0))
}

/// Where the first cause is, what it is, and the first action.
fn first(report: &Report) -> (String, String, Option<Action>) {
    match &report.result {
        Outcome::RootCauseIdentified { root_causes, recommendations, .. } => (
            root_causes[0].supporting_findings[0].component.clone(),
            root_causes[0].summary.clone(),
            recommendations.recommended_actions.first().cloned(),
        ),
        Outcome::NoRootCauseIdentified { outcome, .. } => panic!("no cause: {outcome:?}"),
    }
}

fn failing() -> World {
    World::new("web", "errors").fails("load", "web", 0.1).fails("web", "checkout", 0.8)
}

#[test]
fn a_whole_report_reads_well() {
    let world = failing()
        .error("web", "checkout answered 500: bad configuration: TAX_PERCENT is \"nineteen\"")
        .error("checkout", "bad configuration: TAX_PERCENT is \"nineteen\", not a whole number")
        .set("checkout", "TAX_PERCENT", "nineteen");
    insta::assert_json_snapshot!(report(world));
}

/// Each kind of trouble, and what must be said of it: the component, a word, and whether there is an edit.
#[test]
fn each_kind_of_trouble_is_told_apart() {
    let dead = "Back-off restarting failed container main in pod";
    let expired = "cannot reach payment at payment.cell.svc.cluster.local:9443: invalid peer certificate: certificate \
        expired";
    let cases = [
        (
            failing().error("checkout", "TAX_PERCENT is nonsense").set(
                "checkout",
                "TAX_PERCENT",
                "x",
            ),
            ("checkout", "TAX_PERCENT=\"x\"", true),
        ),
        (
            World::new("cart", "errors")
                .fails("web", "cart", 0.3)
                .error("cart", "cannot reach cart-store at 127.0.0.1:9: Connection refused")
                .set("cart", "UPSTREAM_CART_STORE", "127.0.0.1:9"),
            ("cart", "nobody answers: UPSTREAM_CART_STORE", true),
        ),
        (
            failing()
                .fails("checkout", "mail", 0.3)
                .error("mail", "request 3 fails")
                .set("mail", "N", "3"),
            ("mail", "fails 30 %", true),
        ),
        (
            World::new("web", "slow")
                .slow("load", "web", 1900.0)
                .slow("web", "checkout", 1800.0)
                .slow("checkout", "payment", 1700.0)
                .set("payment", "DELAY", "1"),
            ("payment", "slow by itself", true),
        ),
        (
            World::new("mail", "failures")
                .complains("mail", "2 restarts")
                .unwell("mail", "CrashLoopBackOff: OOMKilled")
                .event("mail", "BackOff", dead),
            ("mail", "OOMKilled", true),
        ),
        (
            failing()
                .fails("checkout", "mail", 0.9)
                .unwell("mail", "CrashLoopBackOff")
                .event("mail", "BackOff", dead)
                .error("mail", "giving up"),
            ("mail", "again and again", false),
        ),
        (
            failing()
                .fails("checkout", "mail", 0.3)
                .error("mail", "the queue is full: 2 of 2 wait"),
            ("mail", "queue is full", false),
        ),
        (
            failing().error("checkout", expired).set("payment", "CERTIFICATE_DAYS", "-1"),
            ("payment", "certificate of payment", true),
        ),
        (
            World::new("web", "failures").unwell("web", "ImagePullBackOff").event(
                "web",
                "Failed",
                "Error: ErrImagePull: image \"shop:2\" not found",
            ),
            ("web", "cannot be pulled: shop:2", true),
        ),
        (
            World::new("cart", "failures")
                .unmet("cart", "RenderingFailed", "the SecretReference `shop-key` does not exist")
                .set_from("cart", "KEY", "shop-key"),
            ("cart", "cannot be rolled out", true),
        ),
    ];
    for (world, (component, word, edit)) in cases {
        let report = report(world);
        let (found, summary, action) = first(&report);
        assert_eq!(found, component, "{summary}");
        assert!(summary.contains(word), "{summary} lacks {word}");
        let has_edit = action.as_ref().is_some_and(|action| action.change.is_some());
        assert_eq!(has_edit, edit, "{summary}: {action:?}");
    }
}

const NO_IMAGE: &str = "Error: ErrImagePull: image \"shop:2\" not found";

#[test]
fn what_keeps_pods_from_starting_is_not_laid_on_somebody_they_call() {
    let expired =
        "cannot reach payment at payment.cell.svc.cluster.local:9443: certificate expired";
    let broken = |rule: &str| {
        World::new("web", rule).fails("web", "checkout", 0.3).error("checkout", expired).set(
            "payment",
            "CERTIFICATE_DAYS",
            "-1",
        )
    };
    let no_image = |rule: &str| {
        broken(rule).unwell("web", "ImagePullBackOff").event("web", "Failed", NO_IMAGE)
    };
    let found = report(no_image("failures"));
    assert_eq!(first(&found).0, "web", "{}", found.summary);
    let Outcome::RootCauseIdentified { root_causes, .. } = &found.result else { panic!() };
    assert_eq!(root_causes[1].supporting_findings[0].component, "payment");
    // What a person who looks at errors wants to know is where they begin.
    assert_eq!(first(&report(no_image("errors"))).0, "payment");
    // Nothing is wrong with its pods, so there is nothing to put first.
    assert_eq!(first(&report(broken("failures"))).0, "payment");
}

#[test]
fn a_pod_that_does_not_start_is_not_why_those_that_serve_are_slow() {
    let slow = |pods: &str| {
        let mut world = World::new("web", "slow")
            .slow("load", "web", 1900.0)
            .slow("web", "checkout", 1800.0)
            .set("checkout", "DELAY", "1")
            .unwell("web", "ImagePullBackOff")
            .event("web", "Failed", NO_IMAGE);
        world.component("web").state.pods = pods.into();
        first(&report(world)).0
    };
    assert_eq!(slow("1/2"), "checkout");
    assert_eq!(slow("0/1"), "web", "nobody serves");
}

#[test]
fn time_that_no_call_takes_is_told_as_none() {
    let found = report(World::new("mail", "slow").slow("checkout", "mail", 1900.0));
    let Outcome::RootCauseIdentified { root_causes, .. } = &found.result else { panic!() };
    let told = &root_causes[0].analysis;
    assert!(told.contains("1900 ms, and none of that is spent on calls"), "{told}");
}

#[test]
fn who_wrote_before_its_pods_were_replaced_is_not_called_silent() {
    let advice = |spoke: bool| {
        let mut world = failing().fails("checkout", "mail", 0.3).set("mail", "N", "3");
        for name in ["web", "checkout", "mail"] {
            world.component(name).spoke = spoke;
        }
        let Outcome::RootCauseIdentified { recommendations, .. } = report(world).result else {
            panic!()
        };
        recommendations.observability_recommendations.len()
    };
    assert_eq!((advice(false), advice(true)), (1, 0));
}

fn nothing(world: World) -> Nothing {
    match report(world).result {
        Outcome::NoRootCauseIdentified { outcome, .. } => outcome,
        Outcome::RootCauseIdentified { root_causes, .. } => panic!("{root_causes:#?}"),
    }
}

#[test]
fn what_cannot_be_told_is_not_told() {
    assert_eq!(nothing(World::new("web", "errors")), Nothing::Transient);
    let mut unseen = World::new("web", "errors");
    unseen.0.gaps.push("query_topology for web: no answer".into());
    assert_eq!(nothing(unseen), Nothing::InsufficientData);
    let mut outside = World::new("web", "errors").fails("load", "web", 0.04);
    outside.0.calls.push(crate::sre::evidence::Call {
        from: "web".into(),
        to: "external:api.example".into(),
        failed: 0.9,
        ..Default::default()
    });
    assert_eq!(nothing(outside), Nothing::ExternalDependency);
}

#[test]
fn errors_that_are_only_passed_on_are_not_taken_for_ones_own() {
    // Both have a setting of that name, and only one of them says that its own is bad.
    let world = World::new("checkout", "errors")
        .fails("web", "checkout", 0.8)
        .fails("checkout", "mail", 0.8)
        .error("checkout", "mail answered 500: bad configuration: LIMIT_MS is \"soon\"")
        .error("mail", "bad configuration: LIMIT_MS is \"soon\"")
        .set("checkout", "LIMIT_MS", "500")
        .set("mail", "LIMIT_MS", "soon");
    let report = report(world);
    assert_eq!(first(&report).0, "mail");
    let Outcome::RootCauseIdentified { root_causes, .. } = report.result else { panic!() };
    assert_eq!(root_causes.len(), 1, "{root_causes:#?}");
}

#[test]
fn trouble_that_the_alert_does_not_reach_is_not_its_cause() {
    let mut world = World::new("web", "errors").complains("other", "9 restarts");
    world = world.event("other", "Failed", "Error: ErrImagePull: image \"x\" not found");
    world.component("other").state.pods = "0/1".into();
    assert_eq!(nothing(world), Nothing::InsufficientData);
}

#[test]
fn what_was_heard_of_before_only_gives_way_to_what_is() {
    let mut world = failing()
        .fails("checkout", "mail", 0.1)
        .error("mail", "OLD_LIMIT is not set")
        .error("checkout", "TAX_PERCENT is nonsense")
        .set("checkout", "TAX_PERCENT", "x");
    let lines = world.component("mail").lines.last_mut().expect("a line");
    (lines.first, lines.last) = (super::world::at(20), super::world::at(30));
    assert_eq!(first(&report(world)).0, "checkout");
}

#[test]
fn a_kill_that_nobody_has_counted_yet_is_one_when_the_alert_is_of_it() {
    let killed_while_slow = |rule: &str| {
        World::new("mail", rule)
            .slow("checkout", "mail", 900.0)
            .set("mail", "N", "3")
            .unwell("mail", "started anew after OOMKilled")
    };
    let summary = |rule: &str| first(&report(killed_while_slow(rule))).1;
    assert!(summary("failures").contains("OOMKilled"), "{}", summary("failures"));
    // It may have been long ago.
    assert!(summary("slow").contains("slow by itself"), "{}", summary("slow"));
    // What takes much memory was not ended for it as long as nobody says so.
    let mut full = World::new("mail", "failures");
    full.component("mail").state.memory = Some(0.9);
    assert_eq!(nothing(full), Nothing::Transient);
}

#[test]
fn only_what_is_sure_and_takes_something_back_is_made_by_the_agent_itself() {
    let sure = |world: World| apply::remedy(&judge(&world.0));
    let named = "cannot parse \"TAX_PERCENT\"";
    let remedy = sure(failing().error("checkout", named).set("checkout", "TAX_PERCENT", "x"));
    assert_eq!(remedy.expect("one").change.remove_env, ["TAX_PERCENT"]);
    // Whoever makes it write the name of a variable that was there all the time has not made it wrong.
    let said = failing().error("checkout", named).set_before("checkout", "TAX_PERCENT", "x");
    assert_eq!(sure(said), None);
    // More memory may be what is needed, or only more of a leak.
    let full = World::new("mail", "failures")
        .complains("mail", "2 restarts")
        .unwell("mail", "CrashLoopBackOff: OOMKilled");
    assert_eq!(sure(full), None);
}

#[test]
fn evidence_is_judged_the_same_after_it_was_kept() {
    let world = failing().error("checkout", "TAX_PERCENT is x").set("checkout", "TAX_PERCENT", "x");
    let kept = serde_json::to_string(&world.0).expect("JSON");
    let again: Evidence = serde_json::from_str(&kept).expect("evidence");
    assert_eq!(judge(&again), judge(&world.0));
}
