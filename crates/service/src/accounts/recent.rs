//! Answers of the store that are remembered for a short time.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use parking_lot::Mutex;

/// Values by name, each good for a fixed time after it was put in. Never holds more than a fixed number.
pub(crate) struct Recent<V> {
    lifetime: Duration,
    most: usize,
    values: Mutex<HashMap<String, (Instant, V)>>,
}

impl<V: Clone> Recent<V> {
    pub(crate) fn new(lifetime: Duration, most: usize) -> Recent<V> {
        Recent { lifetime, most, values: Mutex::new(HashMap::new()) }
    }

    /// The value of a name, unless it is too old at `now`.
    pub(crate) fn get(&self, name: &str, now: Instant) -> Option<V> {
        let values = self.values.lock();
        let (since, value) = values.get(name)?;
        (now.saturating_duration_since(*since) < self.lifetime).then(|| value.clone())
    }

    /// Remembers a value. When there are too many, those that are too old go, or else all.
    pub(crate) fn put(&self, name: &str, value: V, now: Instant) {
        let mut values = self.values.lock();
        if values.len() >= self.most {
            values.retain(|_, (since, _)| now.saturating_duration_since(*since) < self.lifetime);
        }
        if values.len() >= self.most {
            values.clear();
        }
        values.insert(name.to_owned(), (now, value));
    }

    /// Forgets a value.
    pub(crate) fn remove(&self, name: &str) {
        self.values.lock().remove(name);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_grow_old() {
        let recent = Recent::new(Duration::from_secs(2), 10);
        let now = Instant::now();
        recent.put("a", 1, now);
        assert_eq!(recent.get("a", now + Duration::from_millis(1999)), Some(1));
        assert_eq!(recent.get("a", now + Duration::from_secs(2)), None);
        assert_eq!(recent.get("b", now), None);
        recent.remove("a");
        assert_eq!(recent.get("a", now), None);
    }

    #[test]
    fn there_are_never_too_many() {
        let recent = Recent::new(Duration::from_secs(2), 10);
        let now = Instant::now();
        for number in 0..1000 {
            recent.put(&number.to_string(), number, now);
            assert!(recent.values.lock().len() <= 10);
            assert_eq!(recent.get(&number.to_string(), now), Some(number));
        }
    }
}
