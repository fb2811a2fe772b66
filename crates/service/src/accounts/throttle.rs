//! Slows down clients whose credentials fail again and again.
//!
//! Good credentials are never refused or slowed, because an address may stand for many people (a proxy, an office) of whom one
//! has a wrong key. What is slowed is the refusal: it costs whoever tries keys their time, and whoever loops with a wrong key
//! stops filling the log. Keys of 256 random bits need no further protection from guessing.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::time::{Duration, Instant};

use parking_lot::Mutex;

/// Failures that cost nothing.
const FREE: u32 = 10;
/// The delay of the first failure that does; each further one doubles it.
const FIRST_DELAY: Duration = Duration::from_millis(250);
const LONGEST_DELAY: Duration = Duration::from_secs(2);
/// After this long without failures an address begins anew.
const FORGIVEN: Duration = Duration::from_secs(60);
/// Addresses remembered at most.
const MOST: usize = 4096;

/// Failures by address.
#[derive(Default)]
pub(crate) struct Throttle {
    failures: Mutex<HashMap<Option<IpAddr>, Failures>>,
}

struct Failures {
    count: u32,
    last: Instant,
}

impl Throttle {
    /// Counts a failure of an address (`None`: unknown) and says for how long to hold back the answer.
    pub(crate) fn failed(&self, from: Option<IpAddr>, now: Instant) -> Duration {
        let fresh = |failures: &Failures| now.saturating_duration_since(failures.last) < FORGIVEN;
        let from = from.map(neighbourhood);
        let mut all = self.failures.lock();
        if all.len() >= MOST && !all.contains_key(&from) {
            all.retain(|_, failures| fresh(failures));
            if all.len() >= MOST {
                let stalest = all.iter().min_by_key(|(_, failures)| failures.last).map(|(from, _)| *from);
                stalest.map(|stalest| all.remove(&stalest));
            }
        }
        let failures = all.entry(from).or_insert(Failures { count: 0, last: now });
        failures.count = if fresh(failures) { failures.count.saturating_add(1) } else { 1 };
        failures.last = now;
        delay(failures.count)
    }
}

fn delay(count: u32) -> Duration {
    match count.checked_sub(FREE + 1) {
        None => Duration::ZERO,
        Some(doublings) => FIRST_DELAY.saturating_mul(1 << doublings.min(16)).min(LONGEST_DELAY),
    }
}

/// What one client can take its addresses from: all of IPv4's one, of IPv6 a network of 64 bits.
fn neighbourhood(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => Ipv6Addr::from_bits(address.to_bits() & !u128::from(u64::MAX)).into(),
        v4 => v4,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(text: &str) -> Option<IpAddr> {
        Some(text.parse().unwrap())
    }

    #[test]
    fn refusals_get_slower_and_are_forgiven() {
        let throttle = Throttle::default();
        let now = Instant::now();
        let milliseconds = |at| throttle.failed(address("192.0.2.1"), at).as_millis();
        assert!((0..FREE).all(|_| milliseconds(now) == 0));
        let slowed: Vec<u128> = (0..6).map(|_| milliseconds(now)).collect();
        assert_eq!(slowed, [250, 500, 1000, 2000, 2000, 2000]);
        assert_eq!(throttle.failed(address("192.0.2.2"), now), Duration::ZERO, "others are not touched");
        assert_eq!(milliseconds(now + Duration::from_secs(59)), 2000);
        assert_eq!(milliseconds(now + Duration::from_secs(59 + 60)), 0, "a minute of peace");
    }

    #[test]
    fn addresses_of_one_client_count_together() {
        let throttle = Throttle::default();
        let now = Instant::now();
        for last in 0..FREE {
            throttle.failed(address(&format!("2001:db8:1:2::{last:x}")), now);
        }
        assert!(throttle.failed(address("2001:db8:1:2:ffff::1"), now) > Duration::ZERO);
        assert_eq!(throttle.failed(address("2001:db8:1:3::1"), now), Duration::ZERO);
        for _ in 0..FREE {
            throttle.failed(address("::ffff:192.0.2.7"), now);
        }
        assert!(throttle.failed(address("192.0.2.7"), now) > Duration::ZERO);
    }

    #[test]
    fn memory_is_bounded_and_the_worst_are_kept() {
        let throttle = Throttle::default();
        let start = Instant::now();
        for number in 0..3 * MOST as u32 {
            let now = start + Duration::from_millis(u64::from(number));
            throttle.failed(Some(IpAddr::V4(number.into())), now);
            throttle.failed(address("192.0.2.1"), now);
            assert!(throttle.failures.lock().len() <= MOST);
        }
        assert_eq!(throttle.failed(address("192.0.2.1"), start + Duration::from_secs(12)), LONGEST_DELAY);
    }
}
