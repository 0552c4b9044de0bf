//! The allocator of components: an instance lives for one call, so memory comes from one stretch that is there from the
//! start, and what is given back waits for the next block of its size.
//!
//! Growing linear memory costs the host two system calls that interrupt all its cores, and every page that was written
//! has to be cleared before the next call: so blocks are reused rather than spread.

#![allow(
    unsafe_code,
    reason = "an allocator hands out raw memory; components have one thread"
)]

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::{Cell, UnsafeCell};
use std::ptr::null_mut;

/// What a call of ordinary size needs. Untouched pages cost nothing.
const ARENA_BYTES: usize = 512 * 1024;

/// Blocks come in sizes of 16 bytes times a power of two, up to 64 KiB; what is larger is the system allocator's.
const CLASS_MIN_SHIFT: u32 = 4;
const CLASSES: usize = 13;

/// No block asks for more than its class gives: all of them begin at a multiple of 16.
const ALIGN_MAX: usize = 16;

#[global_allocator]
static ARENA: Arena = Arena {
    bytes: UnsafeCell::new(Bytes([0; ARENA_BYTES])),
    used: Cell::new(0),
    free: UnsafeCell::new([null_mut(); CLASSES]),
};

#[repr(align(16))]
struct Bytes([u8; ARENA_BYTES]);

struct Arena {
    bytes: UnsafeCell<Bytes>,
    used: Cell<usize>,
    /// Per class the block given back last; it begins with the address of the one before.
    free: UnsafeCell<[*mut u8; CLASSES]>,
}

// SAFETY: a component has one thread.
unsafe impl Sync for Arena {}

/// The class whose blocks hold this, if there is one.
fn class_of(layout: Layout) -> Option<usize> {
    if layout.align() > ALIGN_MAX {
        return None;
    }
    let shift = layout
        .size()
        .max(1 << CLASS_MIN_SHIFT)
        .next_power_of_two()
        .trailing_zeros();
    let class = (shift - CLASS_MIN_SHIFT) as usize;
    (class < CLASSES).then_some(class)
}

const fn size_of_class(class: usize) -> usize {
    1 << (CLASS_MIN_SHIFT as usize + class)
}

impl Arena {
    fn holds(&self, pointer: *mut u8) -> bool {
        pointer.addr().wrapping_sub(self.bytes.get().addr()) < ARENA_BYTES
    }

    /// The list of free blocks of a class.
    ///
    /// # Safety
    /// `class` is one that `class_of` gave.
    unsafe fn list(&self, class: usize) -> *mut *mut u8 {
        // SAFETY: within the array.
        unsafe { self.free.get().cast::<*mut u8>().add(class) }
    }
}

// SAFETY: a block is either in use or in the list of its class, never both, and new ones begin behind all others. A
// block of the arena always has the class of its layout, because `realloc` keeps it only within its class.
unsafe impl GlobalAlloc for Arena {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        if let Some(class) = class_of(layout) {
            // SAFETY: the class is valid; a listed block holds the address of the next, which was written there.
            unsafe {
                let list = self.list(class);
                let block = *list;
                if !block.is_null() {
                    *list = block.cast::<*mut u8>().read();
                    return block;
                }
            }
            let begin = self.used.get();
            let end = begin + size_of_class(class);
            if end <= ARENA_BYTES {
                self.used.set(end);
                // SAFETY: `begin` is within the arena.
                return unsafe { (&raw mut (*self.bytes.get()).0).cast::<u8>().add(begin) };
            }
        }
        // SAFETY: the caller's layout, unchanged.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        match class_of(layout) {
            // SAFETY: the block is the arena's and nobody's any more; it has room for an address.
            Some(class) if self.holds(pointer) => unsafe {
                let list = self.list(class);
                pointer.cast::<*mut u8>().write(*list);
                *list = pointer;
            },
            // SAFETY: what is not in the arena came from the system allocator.
            _ => unsafe { System.dealloc(pointer, layout) },
        }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        if !self.holds(pointer) {
            // SAFETY: what is not in the arena came from the system allocator.
            return unsafe { System.realloc(pointer, layout, size) };
        }
        // SAFETY: the new layout has the caller's size and an alignment that was valid before; the blocks are apart,
        // for the old one is still in use.
        unsafe {
            let wanted = Layout::from_size_align_unchecked(size, layout.align());
            if class_of(wanted) == class_of(layout) {
                return pointer;
            }
            let moved = self.alloc(wanted);
            if !moved.is_null() {
                moved.copy_from_nonoverlapping(pointer, size.min(layout.size()));
                self.dealloc(pointer, layout);
            }
            moved
        }
    }
}
