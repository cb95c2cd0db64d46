//! Two streams of one VM, which are not ordered with each other.

use super::*;
#[cfg(all(target_arch = "wasm32", target_os = "unknown"))]
use wasm_bindgen_test::wasm_bindgen_test as test;

fn high_water(position: Position) -> HighWater {
    HighWater(Some(position))
}

#[test]
fn a_stream_is_held_to_what_was_known_when_it_was_opened() {
    let opened = high_water(at(1, 5));
    let floor = high_water(at(1, 9)).floor(&opened);
    assert!(floor.admit(&at(1, 5)).is_ok());
    assert!(floor.admit(&at(1, 4)).is_err());
}

#[test]
fn a_newer_history_binds_every_stream() {
    let opened = high_water(at(1, 5));
    let floor = high_water(at(2, 9)).floor(&opened);
    assert!(floor.admit(&at(2, 1)).is_ok());
    assert!(floor.admit(&at(1, 6)).is_err(), "the former history");
    let mut other = at(2, 10);
    other.history.id = [9; 16];
    assert!(floor.admit(&other).is_err(), "another of that generation");
}

#[test]
fn whoever_is_behind_takes_nobody_else_back() {
    let mut highest = high_water(at(2, 9));
    highest.raise(at(2, 5));
    highest.raise(at(1, 99));
    assert_eq!(highest.position(), Some(&at(2, 9)));
    highest.raise(at(2, 10));
    assert_eq!(highest.position(), Some(&at(2, 10)));
}
