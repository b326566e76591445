//! Two tabs at one run: whichever of their calls comes first, neither removes what the other has taken up or written.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, Waker};

use super::keeper::tabs::{HOUR, Tab, close, found, keeper, ready, stored, with_visits};
use super::keeper::{Keeper, News};
use super::memory::{Memory, alone};
use super::store::Store;
use super::{Job, StorageTask};
use crate::engine::protocol::Event;

/// The keepers of two tabs that are offered the same run.
fn two_offers() -> (Memory, [(Tab, Keeper<Memory>); 2]) {
    let (memory, _) = with_visits(&["former"], 1);
    let offered = ["one", "two"].map(|visit| {
        let (mut tab, mut keeper) = (Tab::new(visit.into(), None), keeper(&memory, visit));
        alone(keeper.look(None, 2.0 * HOUR)).into_iter().for_each(|news| drop(tab.state.keeping.hear(news)));
        assert!(tab.state.keeping.offer.as_ref().is_some_and(|earlier| !earlier.is_open), "{visit}");
        (tab, keeper)
    });
    (memory, offered)
}

fn is_there(memory: &Memory, visit: &str) -> bool {
    stored(memory).contains_key(visit)
}

#[test]
fn from_the_click_on_resume_to_the_first_save_no_other_tab_removes_what_is_resumed() {
    let (memory, [(mut one, mut its), (two, mut others)]) = two_offers();
    let saved = two.state.keeping.offer.as_ref().expect("an offer").saved();
    let command = one.state.resume().expect("a command");
    assert_eq!(one.state.keeping.storage_tasks, [StorageTask::Hold("former".into())]);
    one.state.keeping.storage_tasks.clear();
    assert_eq!(alone(its.work(Job::Hold("former".into()))), []);
    // The engine is not ready yet, and the other tab discards, and a third one is opened.
    let told = alone(others.forget(&saved));
    assert!(matches!(&told[..], [News::Trouble(told)] if told.to_string().contains("is resuming")), "{told:?}");
    assert!(is_there(&memory, "former"));
    let third = alone(keeper(&memory, "three").look(None, 50.0 * HOUR));
    assert!(found(&third).is_some_and(|earlier| earlier.is_open && earlier.visit == "former"), "{third:?}");
    let request = one.state.request(command);
    one.state.apply(Event::Acknowledged(request.id));
    one.state.apply(ready());
    assert_eq!(one.state.keeping.storage_tasks, [StorageTask::Write], "at once");
    let (entry, _) = one.save(3.0 * HOUR);
    assert_eq!(alone(its.save(entry)), [News::Saved]);
    assert!(is_there(&memory, "one") && !is_there(&memory, "former"));
    assert!(memory.shared().held.is_empty());
}

#[test]
fn what_is_held_by_a_tab_that_crashes_is_offered_again_and_can_be_discarded() {
    let (memory, [(_, mut its), (two, mut others)]) = two_offers();
    alone(its.work(Job::Hold("former".into())));
    let saved = two.state.keeping.offer.as_ref().expect("an offer").saved();
    close(&memory, "one");
    assert_eq!(alone(others.forget(&saved)), []);
    assert!(!is_there(&memory, "former") && memory.shared().held.is_empty());
}

#[test]
fn an_engine_that_refuses_what_its_tab_holds_lets_it_be_forgotten() {
    let (memory, [(mut one, mut its), _]) = two_offers();
    alone(its.work(Job::Hold("former".into())));
    let command = one.state.resume().expect("an offer");
    let request = one.state.request(command);
    one.state.apply(Event::Acknowledged(request.id));
    one.state.keeping.storage_tasks.clear();
    one.state.keeping.refused();
    let [StorageTask::Forget(saved)] = &one.state.keeping.storage_tasks[..] else { panic!("it goes") };
    assert_eq!(alone(its.forget(saved)), []);
    assert!(!is_there(&memory, "former") && memory.shared().held.is_empty());
}

#[test]
fn a_discard_that_has_begun_is_not_overtaken_by_a_resume() {
    let (memory, [(_, its), (two, others)]) = two_offers();
    let saved = two.state.keeping.offer.as_ref().expect("an offer").saved();
    assert!(alone(others.store().hold(&saved.visit)));
    alone(its.hold(&saved.visit));
    assert_eq!(memory.shared().held.get("former").map(String::as_str), Some("two"));
}

/// Goes on with `work` for so many calls. Answers whether it was at an end before.
fn is_over_after<T>(turns: usize, work: &mut Pin<Box<dyn Future<Output = T> + '_>>) -> bool {
    (0..turns).any(|_| work.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_ready())
}

fn finished<T>(polled: Poll<T>) -> Option<T> {
    match polled {
        Poll::Ready(it) => Some(it),
        Poll::Pending => None,
    }
}

#[test]
fn what_its_page_writes_while_another_tidies_is_whole_or_told_as_gone() {
    let visits = ["d", "c", "b", "a"];
    let mut orders = 0;
    for turns in 0.. {
        let (memory, mut all) = with_visits(&visits, 4);
        memory.shared().open = None;
        let (mut tab, mut its, _) = all.remove(0);
        tab.train(100, 7.0);
        let (entry, whole) = tab.save(60.0 * HOUR);
        let mut other = keeper(&memory, "new");
        let mut look: Pin<Box<dyn Future<Output = _>>> = Box::pin(other.look(None, 50.0 * HOUR));
        if is_over_after(turns, &mut look) {
            break;
        }
        let mut save: Pin<Box<dyn Future<Output = _>>> = Box::pin(its.save(entry));
        let mut context = Context::from_waker(Waker::noop());
        let (mut looked, mut news) = (None, None);
        while looked.is_none() || news.is_none() {
            if news.is_none() {
                news = finished(save.as_mut().poll(&mut context));
            }
            if looked.is_none() {
                looked = finished(look.as_mut().poll(&mut context));
            }
        }
        let left = stored(&memory);
        match news.as_deref() {
            Some([News::Saved]) => assert_eq!(left.get("d"), Some(&whole), "after {turns} calls"),
            Some([News::Gone(_)]) => assert_eq!(left.get("d"), None, "after {turns} calls"),
            news => panic!("{news:?}"),
        }
        orders += 1;
    }
    println!("{orders} orders of a save and a look");
    assert!(orders > 20);
}

#[test]
fn what_another_tab_holds_at_any_moment_of_a_save_is_not_removed_by_it() {
    let (mut orders, mut kept) = (0, 0);
    for turns in 0.. {
        let (memory, [(mut one, mut its), (_, others)]) = two_offers();
        one.resume();
        one.train(10, 7.0);
        let (entry, _) = one.save(6.0 * HOUR);
        let mut save: Pin<Box<dyn Future<Output = _>>> = Box::pin(its.save(entry));
        if is_over_after(turns, &mut save) {
            break;
        }
        let is_held = alone(others.store().hold("former"));
        assert_eq!(alone(save), [News::Saved]);
        assert!(!is_held || is_there(&memory, "former"), "it was held after {turns} calls of the save");
        (orders, kept) = (orders + 1, kept + usize::from(is_held));
    }
    println!("{orders} orders of a save and a hold; {kept} times the other was first");
    assert!(orders > 10 && kept > 0 && kept < orders);
}
