//! A session that is saved, natively, with each call of the store failing in turn. `interleavings` has two tabs in random order.

use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

use super::earlier_visits::NEWER_RUN;
use super::tabs::*;
use super::*;
use crate::engine::protocol::Stage;
use crate::page::model::saved_session::memory::{Memory, alone};

use crate::page::model::saved_session::StorageTask;
use klimb_text::json;

/// Lets one call after another fail. `attempt` is given the error to come, and answers whether it came.
fn at_every_call(attempt: impl Fn(usize, StoreError) -> bool) -> usize {
    let errors = [StoreError::Full, StoreError::Failed(klimb_text::Message::verbatim("torn"))];
    let mut count = 0;
    for error in errors {
        count += (1..).take_while(|call| attempt(*call, error.clone())).count();
    }
    assert!(count > 6, "too few calls failed: {count}");
    count
}

fn fail(memory: &Memory, call: usize, error: StoreError) {
    let mut shared = memory.shared();
    shared.fails = Some((shared.calls + call, error));
}

fn has_failed(memory: &Memory) -> bool {
    memory.shared().fails.take().is_none()
}

#[test]
fn a_save_that_fails_at_any_call_leaves_the_last_one_and_the_next_is_whole() {
    let count = at_every_call(|call, error| {
        let (memory, mut all) = with_visits(&["one", "two"], 1);
        let (mut tab, mut keeper, before) = all.pop().expect("two");
        let other = all.pop().expect("one").2;
        tab.train(100, 7.0);
        let (entry, after) = tab.save(10.0 * HOUR);
        fail(&memory, call, error);
        let news = alone(keeper.save(entry));
        let found = stored(&memory);
        match news.as_slice() {
            [News::Saved] => assert_eq!(found["two"], after),
            [News::Saved, News::Trouble(text)] => {
                assert!(text.to_string().contains("full") && is_but_for_oldest(&found["two"], &after), "{text}");
            }
            [News::Failed(text)] => {
                assert!(text.to_string().contains("What was kept before stands"), "{text}");
                assert_eq!(found["two"], before);
            }
            news => panic!("{news:?}"),
        }
        assert_eq!(found["one"], other);
        let has_failed = has_failed(&memory);
        if !news.contains(&News::Saved) {
            tab.train(100, 8.0);
            let (entry, after) = tab.save(11.0 * HOUR);
            assert_eq!(alone(keeper.save(entry)), [News::Saved]);
            assert_eq!(stored(&memory)["two"], after, "with all that could not be kept before");
        }
        has_failed
    });
    println!("{count} calls of a save failed");
}

#[test]
fn a_look_that_fails_at_any_call_loses_nothing_and_the_next_offers_it() {
    let visits = ["e", "d", "c", "b", "a"];
    let count = at_every_call(|call, error| {
        let (memory, all) = with_visits(&visits, 5);
        fail(&memory, call, error);
        let news = alone(keeper(&memory, "new").look(None, 20.0 * HOUR));
        assert!(found(&news).is_some() || has_trouble(&news), "{news:?}");
        let left = stored(&memory);
        assert!(all[2..].iter().all(|(_, _, it)| left[&it.visit] == *it), "the newest three are there");
        let has_failed = has_failed(&memory);
        let news = alone(keeper(&memory, "next").look(None, 20.0 * HOUR));
        assert_eq!(found(&news), Some(&all[4].2));
        assert_eq!(stored(&memory).keys().collect::<Vec<_>>(), ["a", "b", "c"], "and no more than three are kept");
        has_failed
    });
    println!("{count} calls of a look failed");
}

#[test]
fn a_resumed_run_takes_the_place_of_the_old_one_in_one_step_whichever_call_fails() {
    let count = at_every_call(|call, error| {
        let (memory, mut all) = with_visits(&["one"], 1);
        let before = all.pop().expect("one").2;
        let (mut tab, mut keeper) = (Tab::new("two".into(), None), keeper(&memory, "two"));
        alone(keeper.look(None, 5.0 * HOUR)).into_iter().for_each(|news| drop(tab.state.keeping.hear(news)));
        tab.resume();
        assert_eq!(tab.policies, before.engine.as_ref().expect("an engine").saved_policies);
        tab.train(10, 7.0);
        let (entry, after) = tab.save(10.0 * HOUR);
        fail(&memory, call, error);
        let news = alone(keeper.save(entry));
        let left = stored(&memory);
        if news.contains(&News::Saved) {
            assert_eq!(left.keys().collect::<Vec<_>>(), ["two"]);
            assert!(left["two"] == after || is_but_for_oldest(&left["two"], &after));
        } else {
            assert_eq!(left, BTreeMap::from([("one".to_owned(), before)]));
        }
        has_failed(&memory)
    });
    println!("{count} calls of a resume failed");
}

#[test]
fn a_run_that_was_resumed_elsewhere_is_not_lost_to_a_discard_of_the_old_offer() {
    for tells in [true, false] {
        let (memory, _) = with_visits(&["one"], 1);
        if !tells {
            memory.shared().open = None;
        }
        let mut tabs = ["two", "three"].map(|visit| (Tab::new(visit.into(), None), keeper(&memory, visit)));
        for (tab, keeper) in &mut tabs {
            alone(keeper.look(None, 5.0 * HOUR)).into_iter().for_each(|news| drop(tab.state.keeping.hear(news)));
        }
        let [(one, its), (other, others)] = &mut tabs;
        one.resume();
        assert_eq!(
            one.state.keeping.storage_tasks,
            [StorageTask::Hold("one".into()), StorageTask::Write],
            "what is resumed is written at once"
        );
        let (entry, whole) = one.save(6.0 * HOUR);
        assert_eq!(alone(its.save(entry)), [News::Saved]);
        assert_eq!(stored(&memory)["two"], whole);
        other.state.keeping.dismiss();
        assert_eq!(
            (other.state.keeping.asks_again(), other.state.keeping.storage_tasks.len()),
            (!tells, usize::from(tells))
        );
        if !tells {
            other.state.keeping.dismiss();
        }
        let Some(StorageTask::Forget(saved)) = other.state.keeping.storage_tasks.pop() else {
            panic!("it is to be forgotten")
        };
        let news = alone(others.forget(&saved));
        assert_eq!(stored(&memory)["two"], whole, "it stays");
        if tells {
            assert_eq!(news, [News::Trouble(klimb_text::Message::named(NO_LONGER_THERE))]);
        }
        close(&memory, "two");
        let news = alone(keeper(&memory, "four").look(Some("two"), 7.0 * HOUR));
        let offered = found(&news).expect("an offer");
        assert_eq!((offered.visit.as_str(), offered.may_be_open), ("two", !tells));
    }
}

#[test]
fn a_run_that_has_gone_on_since_it_was_offered_is_not_said_to_be_gone() {
    let (memory, mut all) = with_visits(&["one"], 1);
    memory.shared().open = None;
    let mut other = keeper(&memory, "two");
    let offered = found(&alone(other.look(None, 5.0 * HOUR))).expect("an offer").saved();
    let (tab, its, _) = &mut all[0];
    tab.train(1, 7.0);
    let (entry, whole) = tab.save(6.0 * HOUR);
    assert_eq!(alone(its.save(entry)), [News::Saved]);
    let news = alone(other.forget(&offered));
    assert_eq!(news[0], News::Trouble(klimb_text::Message::named(HAS_GONE_ON)));
    let now = found(&news).map(|it| (it.when, &it.engine));
    assert!(now == Some((whole.when, &whole.engine)), "it is offered as it is now");
}

#[test]
fn a_discard_that_fails_at_any_call_is_whole_or_is_not() {
    let count = at_every_call(|call, error| {
        let (memory, all) = with_visits(&["one", "two"], 2);
        let mut keeper = keeper(&memory, "three");
        fail(&memory, call, error);
        let news = alone(keeper.forget(&all[1].2.saved()));
        let left = stored(&memory);
        assert_eq!(left["one"], all[0].2, "the other is not touched");
        assert!(left.get("two").is_none_or(|it| *it == all[1].2));
        let is_done = !left.contains_key("two");
        assert!(is_done || has_trouble(&news), "it is said: {news:?}");
        assert!(!is_done || has_trouble(&news) || found(&news) == Some(&all[0].2), "the next is offered: {news:?}");
        has_failed(&memory)
    });
    println!("{count} calls of a discard failed");
}

/// What the store's first form had, as it was written then.
fn first_form(memory: &Memory, earlier: &SavedSession, format: u32) {
    let mut engine = earlier.engine.clone().expect("an engine");
    let policies = std::mem::take(&mut engine.saved_policies);
    let mut seen = earlier.seen.clone();
    let rows = seen.metrics.get(&Stage::Dpo).expect("rows").clone();
    let (stretch, newest) = rows.split_at(128);
    seen.metrics.insert(Stage::Dpo, newest.to_vec());
    let slots: Vec<usize> = (0..policies.len()).collect();
    let entry = serde_json::json!({
        "format": format, "when": earlier.when, "page": json::to_text(&seen), "engine": engine,
        "moments": slots, "stretches": [["Dpo", [0]]],
    });
    let mut shared = memory.shared();
    let mut put = |key: String, value| drop(shared.values.insert(Key::First(key), Rc::new(value)));
    put(FOLDER.into(), entry);
    for (slot, policy) in policies.iter().enumerate() {
        put(format!("{FOLDER}#{slot}"), serde_json::to_value(policy).expect("a policy"));
    }
    put(format!("{FOLDER}#rows000000"), json::to_text(&stretch).into());
    put("/klimb/other/".into(), serde_json::json!({"format": 1}));
}

#[test]
fn what_the_first_form_kept_is_taken_over_whichever_call_fails() {
    let (_, mut all) = with_visits(&["first-3600001"], 0);
    let before = all.pop().expect("one").2;
    let count = at_every_call(|call, error| {
        let memory = Memory::default();
        memory.shared().open = Some(BTreeSet::new());
        first_form(&memory, &before, 1);
        let written = memory.shared().values.clone();
        fail(&memory, call, error);
        let news = alone(keeper(&memory, "new").look(None, 5.0 * HOUR));
        let is_taken_over = !stored(&memory).is_empty();
        assert!(is_taken_over || memory.shared().values == written, "all of it or nothing");
        assert!(found(&news).is_some() || has_trouble(&news), "{news:?}");
        let has_failed = has_failed(&memory);
        let news = alone(keeper(&memory, "next").look(None, 5.0 * HOUR));
        assert_eq!(found(&news), Some(&before));
        let left: Vec<Key> =
            memory.shared().values.keys().filter(|key| matches!(key, Key::First(_))).cloned().collect();
        assert_eq!(left, [Key::First("/klimb/other/".into())], "another folder's is not touched");
        has_failed
    });
    println!("{count} calls of taking over the first form failed");
}

#[test]
fn what_a_newer_page_kept_is_left_alone_and_said() {
    let (memory, all) = with_visits(&["old", "new"], 2);
    let is_of =
        |key: &Key, wanted: Kind| matches!(key, Key::Part { visit, kind, .. } if visit == "new" && *kind == wanted);
    for wanted in [Kind::Head, Kind::Entry] {
        let mut shared = memory.shared();
        let (_, value) = shared.values.iter_mut().find(|(key, _)| is_of(key, wanted)).expect("a part");
        Rc::make_mut(value)["format"] = (FORMAT + 1).into();
    }
    let written = memory.shared().values.clone();
    let mut keeper = keeper(&memory, "now");
    let news = alone(keeper.look(None, 5.0 * HOUR));
    assert_eq!(
        (news.first(), found(&news)),
        (Some(&News::Trouble(klimb_text::Message::named(NEWER_RUN))), Some(&all[0].2))
    );
    assert_eq!(memory.shared().values, written);
    let memory = Memory::default();
    first_form(&memory, &all[0].2, 9);
    let written = memory.shared().values.clone();
    let news = alone(self::keeper(&memory, "now").look(None, 5.0 * HOUR));
    assert_eq!((news, &memory.shared().values), (vec![News::Trouble(klimb_text::Message::named(NEWER_RUN))], &written));
}

#[test]
fn a_set_that_cannot_be_read_is_removed_and_the_next_is_offered() {
    let (memory, all) = with_visits(&["old", "new"], 2);
    let entry = |key: &Key| matches!(key, Key::Part { visit, kind: Kind::Entry, .. } if visit == "new");
    memory
        .shared()
        .values
        .iter_mut()
        .filter(|(key, _)| entry(key))
        .for_each(|(_, value)| Rc::make_mut(value)["page"] = "{".into());
    let news = alone(keeper(&memory, "now").look(None, 5.0 * HOUR));
    assert!(
        matches!(&news[..], [News::Broken(reason), News::Found(_)] if reason.to_string().contains("EOF")),
        "{news:?}"
    );
    assert_eq!(found(&news), Some(&all[0].2));
    assert_eq!(stored(&memory).keys().collect::<Vec<_>>(), ["old"]);
}

#[test]
fn a_store_that_may_not_be_used_is_asked_once() {
    for error in [StoreError::Absent(klimb_text::Message::verbatim("it is switched off")), StoreError::Newer] {
        let memory = Memory::default();
        fail(&memory, 1, error.clone());
        let (mut tab, mut keeper) = (Tab::new("one".into(), None), keeper(&memory, "one"));
        assert_eq!(alone(keeper.look(None, HOUR)), [News::Trouble(error.message())]);
        let calls = memory.shared().calls;
        tab.train(1, 1.0);
        assert_eq!((alone(keeper.save(tab.save(HOUR).0)), memory.shared().calls), (vec![], calls));
    }
}

#[test]
fn two_tabs_that_resume_one_run_go_on_in_sets_of_their_own() {
    let (memory, mut all) = with_visits(&["one"], 1);
    let before = all.pop().expect("one").2;
    let mut tabs = ["two", "three"].map(|visit| {
        let (mut tab, mut keeper) = (Tab::new(visit.into(), None), keeper(&memory, visit));
        alone(keeper.look(None, 5.0 * HOUR)).into_iter().for_each(|news| drop(tab.state.keeping.hear(news)));
        tab.resume();
        (tab, keeper)
    });
    for (number, (tab, keeper)) in tabs.iter_mut().enumerate() {
        tab.train(10, 10.0 + number as f64);
        let (entry, after) = tab.save((6.0 + number as f64) * HOUR);
        assert_eq!(alone(keeper.save(entry)), [News::Saved]);
        assert_eq!(stored(&memory)[&tab.visit], after);
    }
    assert_eq!(stored(&memory).keys().collect::<Vec<_>>(), ["three", "two"], "{before:?}");
    // A third is offered the newest as a copy, and what it discards stays: its page is open.
    let mut third = keeper(&memory, "four");
    let news = alone(third.look(None, 9.0 * HOUR));
    let offered = found(&news).expect("an offer").clone();
    assert_eq!((offered.visit.as_str(), offered.is_open), ("three", true));
    assert_eq!(alone(third.forget(&offered.saved())), []);
    assert_eq!(stored(&memory).len(), 2);
}
