//! Named adapters of one layer, which can be replaced while other threads read them.

use std::sync::Arc;

use arc_swap::ArcSwap;

/// The adapters attached to one layer, and the names of the active ones. Every change is one atomic
/// exchange, so a forward pass sees either the old or the new set.
#[derive(Debug)]
pub struct Slot<A: ?Sized> {
    state: ArcSwap<SlotState<A>>,
}

#[derive(Debug)]
struct SlotState<A: ?Sized> {
    /// In the order of attachment.
    adapters: Vec<(String, Arc<A>)>,
    /// In the order of activation.
    active: Vec<String>,
}

impl<A: ?Sized> Clone for SlotState<A> {
    fn clone(&self) -> Self {
        Self { adapters: self.adapters.clone(), active: self.active.clone() }
    }
}

impl<A: ?Sized> Default for Slot<A> {
    fn default() -> Self {
        Self {
            state: ArcSwap::from_pointee(SlotState { adapters: Vec::new(), active: Vec::new() }),
        }
    }
}

impl<A: ?Sized> Slot<A> {
    /// An empty slot.
    pub fn new() -> Self {
        Self::default()
    }

    /// Inserts an adapter under a name, and replaces one of the same name. It takes effect only
    /// while the name is active.
    pub fn insert(&self, name: &str, adapter: Arc<A>) {
        self.change(|state| {
            let adapter = adapter.clone();
            match state.adapters.iter_mut().find(|(known, _)| known == name) {
                Some((_, place)) => *place = adapter,
                None => state.adapters.push((name.to_owned(), adapter)),
            }
        });
    }

    /// Removes and deactivates an adapter.
    pub fn remove(&self, name: &str) -> Option<Arc<A>> {
        let removed = self.get(name);
        self.change(|state| {
            state.adapters.retain(|(known, _)| known != name);
            state.active.retain(|known| known != name);
        });
        removed
    }

    /// The adapter with this name.
    pub fn get(&self, name: &str) -> Option<Arc<A>> {
        self.state
            .load()
            .adapters
            .iter()
            .find(|(known, _)| known == name)
            .map(|(_, adapter)| adapter.clone())
    }

    /// All names, in the order of attachment.
    pub fn names(&self) -> Vec<String> {
        self.state.load().adapters.iter().map(|(name, _)| name.clone()).collect()
    }

    /// Activates exactly these adapters. Names that are not in this slot are ignored, because an
    /// adapter need not target every layer.
    pub fn set_active(&self, names: &[&str]) {
        self.change(|state| {
            let held =
                names.iter().filter(|name| state.adapters.iter().any(|(known, _)| known == *name));
            state.active = held.map(|name| (*name).to_owned()).collect();
        });
    }

    /// The names of the active adapters.
    pub fn active_names(&self) -> Vec<String> {
        self.state.load().active.clone()
    }

    /// The active adapters, in the order of activation.
    pub fn active(&self) -> Vec<Arc<A>> {
        let state = self.state.load();
        let find = |name: &String| {
            state
                .adapters
                .iter()
                .find(|(known, _)| known == name)
                .map(|(_, adapter)| adapter.clone())
        };
        state.active.iter().filter_map(find).collect()
    }

    /// The adapter that was activated last.
    pub fn last_active(&self) -> Option<Arc<A>> {
        let state = self.state.load();
        let last = state.active.last()?;
        state.adapters.iter().find(|(known, _)| known == last).map(|(_, adapter)| adapter.clone())
    }

    fn change(&self, edit: impl Fn(&mut SlotState<A>)) {
        self.state.rcu(|state| {
            let mut next = SlotState::clone(state);
            edit(&mut next);
            next
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn slot() -> Slot<str> {
        let slot = Slot::new();
        slot.insert("a", Arc::from("first"));
        slot.insert("b", Arc::from("second"));
        slot
    }

    fn acting(slot: &Slot<str>) -> Vec<String> {
        slot.active().iter().map(|adapter| adapter.to_string()).collect()
    }

    #[test]
    fn an_adapter_has_no_effect_until_it_is_active() {
        assert!(acting(&slot()).is_empty());
    }

    #[test]
    fn activation_chooses_by_name_in_order_and_leaves_strangers_out() {
        let slot = slot();
        slot.set_active(&["b", "stranger", "a"]);
        assert_eq!(acting(&slot), ["second", "first"]);
        assert_eq!(slot.active_names(), ["b", "a"]);
    }

    #[test]
    fn an_adapter_can_be_replaced_while_it_acts() {
        let slot = slot();
        slot.set_active(&["a"]);
        slot.insert("a", Arc::from("newer"));
        assert_eq!(
            (acting(&slot), slot.names()),
            (vec!["newer".to_owned()], vec!["a".to_owned(), "b".to_owned()])
        );
    }

    #[test]
    fn removing_deactivates_and_returns_the_adapter() {
        let slot = slot();
        slot.set_active(&["a"]);
        assert_eq!(slot.remove("a").as_deref(), Some("first"));
        assert!(acting(&slot).is_empty() && slot.remove("a").is_none());
    }

    #[test]
    fn a_reader_is_unaffected_by_later_changes_of_the_slot() {
        let slot = slot();
        slot.set_active(&["a"]);
        let seen = slot.active();
        std::thread::scope(|scope| {
            scope.spawn(|| slot.remove("a"));
        });
        assert_eq!((&*seen[0], slot.names().len()), ("first", 1));
    }
}
