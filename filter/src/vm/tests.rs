use super::*;

fn at(milliseconds: u64) -> Moment {
    Moment {
        monotonic: Duration::from_millis(milliseconds),
        wall: Duration::from_millis(milliseconds),
    }
}

fn policy(group: &str, staleness: &str) -> Policy {
    policy_of("feed", group, staleness)
}

fn policy_of(cluster: &str, group: &str, staleness: &str) -> Policy {
    let policy = serde_json::json!({
        "tenant": "corp",
        "feed": { "cluster": cluster },
        "maxStaleness": staleness,
        "hold": { "timeout": "2s", "requests": 2 },
        "rules": [{
            "name": "all",
            "to": [{ "paths": ["/{**}"] }],
            "require": { "anyOf": [format!("group:{group}")] },
        }],
    });
    Policy::parse(policy.to_string().as_bytes()).unwrap()
}

fn opens(vm: &mut Vm, root: u32) -> bool {
    vm.step(root, at(0)) == Step::Open
}

#[test]
fn policies_of_one_scope_share_a_feed_and_the_oldest_has_its_stream() {
    let mut vm = Vm::default();
    let old = vm.join(1, policy("a", "60s"), at(0));
    let new = vm.join(2, policy("a", "30s"), at(0));
    assert_eq!(old.feed, new.feed);
    assert!(opens(&mut vm, 1));
    assert!(!opens(&mut vm, 2));
    let interval = vm.feed(&new).unwrap().pace().interval;
    assert_eq!(interval, Duration::from_secs(10), "of the stricter one");
}

#[test]
fn policies_of_two_scopes_do_not_share_a_feed() {
    let mut vm = Vm::default();
    let a = vm.join(1, policy("a", "60s"), at(0));
    let b = vm.join(2, policy("b", "60s"), at(0));
    assert_ne!(a.feed, b.feed);
    assert!(opens(&mut vm, 1) && opens(&mut vm, 2));
}

#[test]
fn policies_of_two_feeders_do_not_share_a_feed() {
    let mut vm = Vm::default();
    let a = vm.join(1, policy("a", "60s"), at(0));
    let other = policy_of("other", "a", "60s");
    let b = vm.join(2, other, at(0));
    assert_ne!(a.feed, b.feed);
}

#[test]
fn what_comes_on_a_stream_that_was_left_counts_for_nothing() {
    let mut vm = Vm::default();
    let plugin = vm.join(1, policy("a", "60s"), at(0));
    vm.opened(1, 9, Node::default(), at(0));
    assert!(vm.closed(1, 9, at(1)));
    vm.opened(1, 10, Node::default(), at(2));
    for message in crate::session::tests::snapshot_of(&policy("a", "60s"), 5) {
        assert!(vm.receive(1, 9, message.encode_to_vec(), at(3)).is_none());
    }
    assert!(vm.feed(&plugin).unwrap().snapshot().is_none());
}

#[test]
fn a_half_read_snapshot_goes_with_its_stream() {
    let first: fn(&mut Vm) -> u32 = |vm| {
        vm.closed(1, 9, at(1));
        1
    };
    let silent = |vm: &mut Vm| {
        assert_eq!(vm.step(1, at(60_000)), Step::Cancel { stream: 9 });
        1
    };
    let handed_over = |vm: &mut Vm| {
        vm.leave(1);
        2
    };
    for lose in [first, silent, handed_over] {
        let mut vm = Vm::default();
        vm.join(1, policy("a", "60s"), at(0));
        let plugin = vm.join(2, policy("a", "60s"), at(0));
        vm.opened(1, 9, Node::default(), at(0));
        let [start, chunk, end] = crate::session::tests::snapshot_of(&policy("a", "60s"), 5);
        vm.receive(1, 9, start.encode_to_vec(), at(0));
        let root = lose(&mut vm);
        vm.opened(root, 10, Node::default(), at(60_000));
        for rest in [chunk, end] {
            vm.receive(root, 10, rest.encode_to_vec(), at(60_000));
        }
        assert!(vm.feed(&plugin).unwrap().snapshot().is_none());
    }
}

#[test]
fn the_next_oldest_opens_a_stream_at_once_when_the_oldest_goes() {
    let mut vm = Vm::default();
    vm.join(1, policy("a", "60s"), at(0));
    let kept = vm.join(2, policy("a", "60s"), at(0));
    vm.opened(1, 9, Node::default(), at(0));
    assert!(!opens(&mut vm, 2));
    vm.leave(1);
    assert!(opens(&mut vm, 2));
    assert!(!vm.closed(1, 9, at(0)), "a stream that is nobody's");
    assert!(vm.feed(&kept).is_some());
    vm.leave(2);
    assert!(vm.feed(&kept).is_none(), "nobody asks for it");
}

#[test]
fn a_missing_cluster_is_news_once_and_over_with_a_stream() {
    let mut vm = Vm::default();
    let plugin = vm.join(1, policy("a", "60s"), at(0));
    assert!(vm.failed(1, true, at(0)));
    assert!(!vm.failed(1, true, at(0)));
    assert!(vm.feed(&plugin).unwrap().cluster_missing());
    vm.opened(1, 9, Node::default(), at(0));
    assert!(!vm.feed(&plugin).unwrap().cluster_missing());
}

#[test]
fn requests_are_held_up_to_the_bound_and_for_no_longer_than_the_timeout() {
    let mut vm = Vm::default();
    let plugin = vm.join(1, policy("a", "60s"), at(0));
    assert!(vm.holds.take(10, &plugin, at(0)));
    assert!(vm.holds.take(11, &plugin, at(500)));
    assert!(!vm.holds.take(12, &plugin, at(500)), "over the bound");
    vm.holds.forget(11);
    assert!(vm.holds.take(13, &plugin, at(1000)), "a client left");
    let released = |vm: &mut Vm, now| -> Vec<u32> {
        let released = vm.release(at(now));
        released.into_iter().map(|(context, _)| context).collect()
    };
    assert!(released(&mut vm, 1999).is_empty());
    assert!(vm.holds.holds(10));
    assert_eq!(released(&mut vm, 2000), [10]);
    assert!(!vm.holds.holds(10));
    vm.holds.refuse(10);
    assert!(vm.holds.holds(10), "what follows a refused one stays back");
    vm.holds.forget(10);
    assert!(!vm.holds.holds(10));
    assert_eq!(released(&mut vm, 3000), [13]);
}

#[test]
fn a_policy_fills_no_other_policys_places() {
    let mut vm = Vm::default();
    let a = vm.join(1, policy("a", "60s"), at(0));
    let b = vm.join(2, policy("b", "60s"), at(0));
    assert!(vm.holds.take(10, &a, at(0)) && vm.holds.take(11, &a, at(0)));
    assert!(!vm.holds.take(12, &a, at(0)));
    assert!(vm.holds.take(13, &b, at(0)));
    assert_eq!(vm.release(at(2000)).len(), 3);
    assert!(vm.holds.take(14, &a, at(2000)), "they have left");
}

#[test]
fn held_requests_go_as_soon_as_there_is_content_and_a_lease() {
    let mut vm = Vm::default();
    let plugin = vm.join(1, policy("a", "60s"), at(0));
    vm.opened(1, 9, Node::default(), at(0));
    assert!(vm.holds.take(10, &plugin, at(0)));
    let feed = vm.feeds.get_mut(&plugin.feed).unwrap();
    feed.lease.renew(at(0));
    assert!(vm.release(at(1)).is_empty(), "a lease on nothing");
    for message in crate::session::tests::snapshot_of(&policy("a", "60s"), 5) {
        vm.receive(1, 9, message.encode_to_vec(), at(2));
    }
    assert_eq!(vm.release(at(2)).len(), 1);
}

fn may_wait(vm: &Vm, plugin: &Plugin, now: Moment) -> bool {
    !vm.feed(plugin).unwrap().has_begun(plugin, now)
}

/// A VM with content and a lease since the beginning, under a policy that admits staleness for five minutes.
fn served(root: u32, stream: u32) -> (Vm, Rc<Plugin>) {
    let mut vm = Vm::default();
    let plugin = vm.join(root, policy("a", "300s"), at(0));
    vm.opened(root, stream, Node::default(), at(0));
    for message in crate::session::tests::snapshot_of(&policy("a", "300s"), 5) {
        vm.receive(root, stream, message.encode_to_vec(), at(1));
    }
    let pong = crate::session::tests::pong_of(0, 5);
    vm.receive(root, stream, pong.encode_to_vec(), at(1));
    (vm, plugin)
}

#[test]
fn requests_under_a_stricter_policy_wait_for_the_next_answer() {
    let (mut vm, old) = served(1, 9);
    let new = vm.join(2, policy("a", "5s"), at(60_000));
    assert!(!may_wait(&vm, &old, at(60_000)), "its lease is good");
    assert!(may_wait(&vm, &new, at(60_000)), "its lease never was");
    assert!(vm.holds.take(10, &new, at(60_000)));
    assert!(vm.release(at(60_000)).is_empty());

    let due = vm.step(1, at(60_100));
    assert!(matches!(due, Step::Ping { .. }), "{due:?}");
    let pong = crate::session::tests::pong_of(1, 5);
    vm.receive(1, 9, pong.encode_to_vec(), at(60_101));
    assert_eq!(vm.release(at(60_101)).len(), 1);
    assert!(!may_wait(&vm, &new, at(60_101)));
    assert!(!may_wait(&vm, &new, at(61_999)), "nobody waits twice");
}

#[test]
fn a_stricter_policy_that_comes_while_the_feeder_is_silent_soon_refuses_at_once() {
    let (mut vm, _) = served(1, 9);
    let new = vm.join(2, policy("a", "5s"), at(60_000));
    assert!(may_wait(&vm, &new, at(61_999)));
    assert!(!may_wait(&vm, &new, at(62_000)));
}

#[test]
fn a_policy_that_comes_after_an_equal_one_waits_for_nothing() {
    let (mut vm, _) = served(1, 9);
    let new = vm.join(2, policy("a", "300s"), at(60_000));
    assert!(!may_wait(&vm, &new, at(60_000)));
}

/// The feeder counts on what the ping has told it.
#[test]
fn a_policy_that_comes_later_does_not_lengthen_the_lease_that_was_told() {
    let (mut vm, _) = served(1, 9);
    let longer = vm.join(2, policy("a", "3600s"), at(1));
    let mut told = Lease::default();
    told.renew_for(at(0), Duration::from_secs(300));
    assert_eq!(*vm.feed(&longer).unwrap().lease(), told);
}

#[test]
fn a_root_that_is_configured_once_more_keeps_its_feed_and_a_changed_scope_leaves_it() {
    let (mut vm, plugin) = served(1, 9);
    let again = vm.join(1, policy("a", "30s"), at(5_000));
    assert_eq!(again.feed, plugin.feed);
    let feed = vm.feed(&plugin).unwrap();
    assert!(feed.snapshot().is_some() && feed.is_connected());
    assert_eq!(feed.members.len(), 1);
    assert_eq!(feed.members[0].smallest, Duration::from_secs(30));
    let other = vm.join(1, policy("b", "30s"), at(6_000));
    assert!(vm.feed(&plugin).is_none() && vm.feed(&other).is_some());
}
