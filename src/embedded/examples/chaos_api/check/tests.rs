use super::*;

fn call(start: Time, end: Time, what: What) -> Call {
    Call { key: 1, span: Span { start, end }, what }
}

fn put(start: Time, end: Time, base: Option<Version>, value: u64, version: Version) -> Call {
    let outcome = Outcome::Done(Some(version));
    call(start, end, What::Write { base, state: State::Value(value), outcome })
}

fn delete(start: Time, end: Time, base: Version, outcome: Outcome) -> Call {
    call(start, end, What::Write { base: Some(base), state: State::Gone, outcome })
}

fn event(version: Version, state: State) -> Sight {
    Sight::Event { key: 1, version, state }
}

fn listed(start: Time, version: Version, objects: &[(Key, (Version, u64))]) -> Sight {
    let span = Span { start, end: start + 1 };
    Sight::Listed { span, version, objects: objects.iter().copied().collect() }
}

/// Created, replaced, deleted; then a creation without an answer that was done all the same.
fn good() -> History {
    let unanswered = What::Write { base: None, state: State::Value(12), outcome: Outcome::Unknown };
    History {
        calls: vec![
            put(10, 20, None, 10, 5),
            call(21, 22, What::Read(Some((5, 10)))),
            put(30, 40, Some(5), 11, 6),
            delete(50, 60, 6, Outcome::Done(None)),
            call(61, 62, What::Read(None)),
            call(70, Span::OPEN, unanswered),
            call(90, 91, What::Read(Some((8, 12)))),
        ],
        sights: vec![
            listed(1, 4, &[]),
            event(5, State::Value(10)),
            event(6, State::Value(11)),
            Sight::Bookmark(6),
            event(7, State::Gone),
            listed(80, 8, &[(1, (8, 12))]),
        ],
    }
}

/// What is said of the good history after a change.
fn said(change: impl FnOnce(&mut History)) -> String {
    let mut history = good();
    change(&mut history);
    check(&history).join("\n")
}

#[test]
fn a_good_history_is_good() {
    assert_eq!(said(|_| ()), "");
    // An unanswered write need not have happened.
    let gone = said(|history| {
        history.calls[6].what = What::Read(None);
        history.sights[5] = listed(80, 7, &[]);
    });
    assert_eq!(gone, "");
}

#[test]
fn a_lost_write_is_found() {
    let value = said(|history| history.calls[6].what = What::Read(Some((5, 10))));
    assert!(value.contains("version 5 was found for object 1"), "{value}");
    let all = said(|history| history.calls[1].what = What::Read(None));
    assert!(all.contains("no object was found for object 1"), "{all}");
    let deletion = said(|history| history.sights[5] = listed(80, 8, &[(1, (6, 11))]));
    assert!(deletion.contains("version 6 was found for object 1"), "{deletion}");
    let listed = said(|history| history.sights[5] = listed(80, 5, &[]));
    assert!(listed.contains("the list of version 5 is older"), "{listed}");
}

#[test]
fn a_wrong_order_is_found() {
    let late = said(|history| history.calls.push(put(100, 110, None, 13, 3)));
    assert!(late.contains("version 3 began after 6 was acknowledged"), "{late}");
    let twice = said(|history| history.calls.push(put(45, 55, Some(5), 13, 9)));
    assert!(twice.contains("version 5 of object 1 was replaced twice"), "{twice}");
    let skipped = said(|history| history.calls[2] = put(30, 40, Some(3), 11, 6));
    assert!(skipped.contains("version 6 of object 1 is not next to 3"), "{skipped}");
    let created = said(|history| history.calls[2] = put(30, 40, None, 11, 6));
    assert!(created.contains("no object was found"), "{created}");
}

#[test]
fn two_truths_and_what_nobody_wrote_are_found() {
    let two = said(|history| history.calls[6].what = What::Read(Some((8, 11))));
    assert!(two.contains("version 8 is"), "{two}");
    let nobody = said(|history| {
        history.calls[5].what =
            What::Write { base: None, state: State::Value(12), outcome: Outcome::Refused };
    });
    assert!(nobody.contains("version 8 of object 1 is 12"), "{nobody}");
}

#[test]
fn a_watch_that_goes_back_or_misses_is_found() {
    let back = said(|history| history.sights.swap(1, 2));
    assert!(back.contains("the watch goes from version 6 back to 5"), "{back}");
    let again = said(|history| history.sights.insert(2, event(5, State::Value(10))));
    assert!(again.contains("the watch goes from version 5 back to 5"), "{again}");
    let older = said(|history| history.sights[3] = Sight::Bookmark(4));
    assert!(older.contains("from version 6 back to 4"), "{older}");
    let missed = said(|history| drop(history.sights.remove(1)));
    assert!(missed.contains("the watch missed version 5"), "{missed}");
}
