// SPDX-License-Identifier: GPL-2.0

//! Ordered trees of objects that bring the links along.
//!
//! The kernel crate's `RBTree` makes a node for each entry. Here an object that is shared by `Arc`
//! has room in itself, so that to list it takes no memory and cannot fail for the lack of it.
//!
//! C header: [`include/linux/rbtree.h`](srctree/include/linux/rbtree.h)

use crate::bindings;
use core::{cmp::Ordering, marker::PhantomData, ptr};
use kernel::{
    sync::{
        atomic::{AtomicFlag, Full, Relaxed, Release},
        Arc, ArcBorrow,
    },
    types::Opaque,
};

/// An object's place in one tree.
///
/// # Invariants
///
/// `node` is part of a tree if and only if `listed` is set and [`Tree::insert`] has returned.
pub struct Links {
    node: Opaque<bindings::rb_node>,
    listed: AtomicFlag,
}

// SAFETY: The node is used only by the tree that it is in.
unsafe impl Send for Links {}
// SAFETY: As above; the flag is atomic.
unsafe impl Sync for Links {}

impl Links {
    /// Links that are in no tree.
    pub const fn new() -> Self {
        // INVARIANT: In no tree.
        Self {
            node: Opaque::uninit(),
            listed: AtomicFlag::new(false),
        }
    }

    /// Whether the object is in a tree by these links. For those who keep it from coming or going:
    /// whoever could change it needs the tree, and so its lock.
    pub fn is_listed(&self) -> bool {
        self.listed.load(Relaxed)
    }
}

impl Default for Links {
    fn default() -> Self {
        Self::new()
    }
}

/// An object that can be in a [`Tree`]: one at a time for each `ID`.
///
/// To be implemented with [`impl_tree_item!`].
///
/// # Safety
///
/// `links` gives the place of a field of the object, and `of_links` undoes it.
pub unsafe trait TreeItem<const ID: u64 = 0>: Send + Sync + Sized {
    /// What the tree is ordered by. An object's must not change while it is in a tree, or it is
    /// not found.
    type Key: Ord;

    /// The key.
    fn key(&self) -> Self::Key;

    /// # Safety
    ///
    /// `this` must point at a live object.
    unsafe fn links(this: *const Self) -> *const Links;

    /// # Safety
    ///
    /// `links` must come from `links()` of the same `ID`.
    unsafe fn of_links(links: *const Links) -> *const Self;
}

/// Implements [`TreeItem`] for a type with a field of type [`Links`].
///
/// ```ignore
/// impl_tree_item! {
///     impl TreeItem<0> for Bond { self.of_device, key: u32 = |bond| bond.pasid }
/// }
/// ```
#[macro_export]
macro_rules! impl_tree_item {
    (
        impl$({$($generics:tt)*})? TreeItem<$id:literal> for $self:ty {
            self.$field:ident, key: $key:ty = |$item:ident| $value:expr
        }
    ) => {
        // SAFETY: Both functions name the same field, of the right type.
        unsafe impl$(<$($generics)*>)? $crate::tree::TreeItem<$id> for $self {
            type Key = $key;

            #[inline]
            fn key(&self) -> $key {
                let $item = self;

                $value
            }

            #[inline]
            unsafe fn links(this: *const Self) -> *const $crate::tree::Links {
                // SAFETY: The caller promises that the object lives.
                unsafe { &raw const (*this).$field }
            }

            #[inline]
            unsafe fn of_links(links: *const $crate::tree::Links) -> *const Self {
                // SAFETY: The caller promises that this is the field of such an object.
                unsafe { ::kernel::container_of!(links.cast_mut(), Self, $field) }
            }
        }
    };
}
pub use impl_tree_item;

/// Objects in the order of their keys, no two with the same.
///
/// # Invariants
///
/// All nodes below `root` are those of the [`Links`] with this `ID` of live objects, and the tree
/// owns a reference to each.
pub struct Tree<T: TreeItem<ID>, const ID: u64 = 0> {
    root: bindings::rb_root,
    _items: PhantomData<Arc<T>>,
}

// SAFETY: The tree is a set of `Arc`s of what may be shared and sent.
unsafe impl<T: TreeItem<ID>, const ID: u64> Send for Tree<T, ID> {}
// SAFETY: As above; a shared reference only reads.
unsafe impl<T: TreeItem<ID>, const ID: u64> Sync for Tree<T, ID> {}

impl<T: TreeItem<ID>, const ID: u64> Tree<T, ID> {
    /// A tree without objects.
    pub const fn new() -> Self {
        // INVARIANT: No nodes.
        Self {
            root: bindings::rb_root {
                rb_node: ptr::null_mut(),
            },
            _items: PhantomData,
        }
    }

    /// Whether it has no objects.
    pub fn is_empty(&self) -> bool {
        self.root.rb_node.is_null()
    }

    /// # Safety
    ///
    /// `node` must be part of this tree.
    unsafe fn item<'a>(&'a self, node: *mut bindings::rb_node) -> ArcBorrow<'a, T> {
        // SAFETY: By the type invariants this is the node of an object that lives as long as it is
        // in the tree; to take it out needs `&mut self`.
        unsafe {
            let links = kernel::container_of!(Opaque::cast_from(node), Links, node);

            ArcBorrow::from_raw(T::of_links(links))
        }
    }

    fn find(&self, key: &T::Key) -> Option<*mut bindings::rb_node> {
        let mut node = self.root.rb_node;

        while !node.is_null() {
            // SAFETY: By the type invariants all nodes are valid, and this is one.
            let (item, node_ref) = unsafe { (self.item(node), &*node) };

            node = match key.cmp(&item.key()) {
                Ordering::Less => node_ref.rb_left,
                Ordering::Greater => node_ref.rb_right,
                Ordering::Equal => return Some(node),
            };
        }
        None
    }

    /// The object with `key`.
    pub fn get(&self, key: &T::Key) -> Option<ArcBorrow<'_, T>> {
        // SAFETY: What is found is part of the tree.
        self.find(key).map(|node| unsafe { self.item(node) })
    }

    /// Lists an object.
    ///
    /// # Errors
    ///
    /// The object itself, if it is listed here or elsewhere by these links, or if another has its
    /// key.
    pub fn insert(&mut self, item: Arc<T>) -> core::result::Result<(), Arc<T>> {
        // SAFETY: The object lives.
        let links = unsafe { &*T::links(Arc::as_ptr(&item)) };
        let mut parent = ptr::null_mut();
        let mut link = &raw mut self.root.rb_node;
        let key = item.key();

        // From here on nobody else uses the links.
        if links.listed.xchg(true, Full) {
            return Err(item);
        }
        loop {
            // SAFETY: `link` is the root's or a node's, all of which are valid.
            let current = unsafe { *link };

            if current.is_null() {
                break;
            }
            // SAFETY: The node is part of the tree.
            match key.cmp(&unsafe { self.item(current) }.key()) {
                // SAFETY: As above.
                Ordering::Less => link = unsafe { &raw mut (*current).rb_left },
                // SAFETY: As above.
                Ordering::Greater => link = unsafe { &raw mut (*current).rb_right },
                Ordering::Equal => {
                    links.listed.store(false, Release);
                    return Err(item);
                }
            }
            parent = current;
        }
        // INVARIANT: The reference is the tree's now.
        let _ = Arc::into_raw(item);

        // SAFETY: The node is ours since we set `listed`; it stays in place, since an object in an
        // `Arc` does. `link` is the empty place below `parent` that the order demands.
        unsafe {
            bindings::rb_link_node(links.node.get(), parent, link);
            bindings::rb_insert_color(links.node.get(), &mut self.root);
        }
        Ok(())
    }

    /// Takes the object with `key` out.
    pub fn remove(&mut self, key: &T::Key) -> Option<Arc<T>> {
        // SAFETY: What is found is part of the tree.
        self.find(key).map(|node| unsafe { self.take(node) })
    }

    /// # Safety
    ///
    /// `node` must be part of this tree.
    unsafe fn take(&mut self, node: *mut bindings::rb_node) -> Arc<T> {
        // SAFETY: By this function's contract.
        let item = unsafe { self.item(node) };
        let item: *const T = &*item;

        // SAFETY: By this function's contract; and the tree's reference to the object goes to the
        // caller, now that the node is out.
        unsafe {
            bindings::rb_erase(node, &mut self.root);
            (*T::links(item)).listed.store(false, Release);
            Arc::from_raw(item)
        }
    }

    /// The objects whose keys are not below `key`, in order.
    pub fn from(&self, key: &T::Key) -> Iter<'_, T, ID> {
        let mut node = self.root.rb_node;
        let mut next = ptr::null_mut();

        while !node.is_null() {
            // SAFETY: By the type invariants all nodes are valid, and this is one.
            let (item, node_ref) = unsafe { (self.item(node), &*node) };

            if item.key() < *key {
                node = node_ref.rb_right;
            } else {
                next = node;
                node = node_ref.rb_left;
            }
        }
        // INVARIANT: A node of the tree, or null.
        Iter { tree: self, next }
    }

    /// All objects, in order.
    pub fn iter(&self) -> Iter<'_, T, ID> {
        Iter {
            tree: self,
            // SAFETY: The root is valid, and does not change during the borrow.
            next: unsafe { bindings::rb_first(&self.root) },
        }
    }
}

impl<T: TreeItem<ID>, const ID: u64> Default for Tree<T, ID> {
    fn default() -> Self {
        Self::new()
    }
}

impl<T: TreeItem<ID>, const ID: u64> Drop for Tree<T, ID> {
    fn drop(&mut self) {
        while !self.is_empty() {
            // SAFETY: The root is a node of the tree.
            drop(unsafe { self.take(self.root.rb_node) });
        }
    }
}

/// The objects of a [`Tree`], in order.
///
/// # Invariants
///
/// `next` is null or a node of the tree.
pub struct Iter<'a, T: TreeItem<ID>, const ID: u64> {
    tree: &'a Tree<T, ID>,
    next: *mut bindings::rb_node,
}

impl<'a, T: TreeItem<ID>, const ID: u64> Iterator for Iter<'a, T, ID> {
    type Item = ArcBorrow<'a, T>;

    fn next(&mut self) -> Option<Self::Item> {
        let node = self.next;

        if node.is_null() {
            return None;
        }
        // INVARIANT: The next node of the same tree, or null.
        // SAFETY: By the type invariants.
        self.next = unsafe { bindings::rb_next(node) };
        // SAFETY: As above.
        Some(unsafe { self.tree.item(node) })
    }
}

#[kernel::prelude::kunit_tests(kernel_ext_tree)]
mod tests {
    use super::*;
    use kernel::prelude::*;

    struct Number {
        value: u32,
        links: Links,
        others: Links,
    }

    impl_tree_item! {
        impl TreeItem<0> for Number { self.links, key: u32 = |number| number.value }
    }
    impl_tree_item! {
        impl TreeItem<1> for Number { self.others, key: u32 = |number| !number.value }
    }

    fn number(value: u32) -> Result<Arc<Number>> {
        Ok(Arc::new(
            Number {
                value,
                links: Links::new(),
                others: Links::new(),
            },
            GFP_KERNEL,
        )?)
    }

    /// Whether an object that is given up has no other references.
    fn is_last(number: Arc<Number>) -> bool {
        Arc::into_unique_or_drop(number).is_some()
    }

    #[test]
    fn finds_what_it_has_in_order() -> Result {
        let mut tree = Tree::<Number>::new();

        // 7 is a generator modulo 101: each of 1 to 100 once, in no order.
        let mut value = 1;
        for _ in 0..100 {
            assert!(tree.insert(number(value)?).is_ok());
            value = value * 7 % 101;
        }
        assert!(tree.iter().map(|there| there.value).eq(1..=100));
        for from in [0, 1, 37, 100, 101] {
            assert!(tree
                .from(&from)
                .map(|there| there.value)
                .eq(from.max(1)..=100));
        }
        assert!(tree.get(&0).is_none() && tree.get(&101).is_none());
        for value in (1..=100).step_by(3) {
            assert!(tree.get(&value).is_some_and(|there| there.value == value));
            assert!(tree.remove(&value).is_some_and(is_last));
            assert!(tree.get(&value).is_none() && tree.remove(&value).is_none());
        }
        let left = (1..=100).filter(|value| value % 3 != 1);
        assert!(tree.iter().map(|there| there.value).eq(left));
        Ok(())
    }

    #[test]
    fn refuses_what_is_listed_and_gives_it_back() -> Result {
        let (mut tree, mut other) = (Tree::<Number>::new(), Tree::<Number>::new());
        let one = number(1)?;

        assert!(!one.links.is_listed());
        assert!(tree.insert(one.clone()).is_ok());
        assert!(one.links.is_listed() && !one.others.is_listed());
        // The same object; an equal one; the same in another tree.
        assert!(tree.insert(one.clone()).is_err());
        assert!(tree.insert(number(1)?).is_err_and(is_last));
        assert!(other.insert(one.clone()).is_err_and(|it| it.value == 1) && other.is_empty());

        drop(tree.remove(&1));
        assert!(other.insert(one.clone()).is_ok());
        drop(other);
        assert!(!one.links.is_listed());
        assert!(is_last(one));
        Ok(())
    }

    #[test]
    fn an_object_has_a_place_for_each_id() -> Result {
        let (mut up, mut down) = (Tree::<Number, 0>::new(), Tree::<Number, 1>::new());

        for value in [2, 1, 3] {
            let number = number(value)?;

            assert!(up.insert(number.clone()).is_ok() && down.insert(number).is_ok());
        }
        assert!(up.iter().map(|there| there.value).eq([1, 2, 3]));
        assert!(down.iter().map(|there| there.value).eq([3, 2, 1]));
        drop(up);
        assert!(down.remove(&!2).is_some_and(is_last));
        Ok(())
    }
}
