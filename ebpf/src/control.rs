//! The control record: which image a packet is judged by.

use core::ptr::read_volatile;

use verdict::layout::{BEYOND, Control, SLOTS};

use crate::settings;

/// The control record: the only variable of the programs, in the map `.data`.
///
/// Written by the agent; read by every packet. Before the first policy it names no slot, and every
/// packet is dropped with `no-policy`.
#[unsafe(no_mangle)]
static mut CONTROL: Control = Control::NONE;

/// Where the control record holds the slot that a packet on the interface `ifindex` is judged by.
///
/// The slot that was written last, until its trial is over; then the confirmed one, and nothing on an
/// interface that this does not name.
#[inline(always)]
pub fn slot_in_force(ifindex: impl FnOnce() -> u32) -> *const u32 {
    let record = &raw const CONTROL;
    // SAFETY: a static is always readable; volatile, as the agent replaces what is in it.
    unsafe {
        let (slot, confirmed) = (&raw const (*record).slot, &raw const (*record).confirmed);
        if read_volatile(slot) == read_volatile(confirmed) {
            return slot;
        }
        match trial(ifindex()) {
            GOES_ON => slot,
            OVER => confirmed,
            _ => &raw const (*record).nothing,
        }
    }
}

/// Whether a trial is over that alone named the interface `ifindex`: programs at it judge nothing.
#[inline(always)]
pub fn is_released(ifindex: u32) -> bool {
    let record = &raw const CONTROL;
    // SAFETY: as above.
    let on_trial = unsafe {
        read_volatile(&raw const (*record).slot) != read_volatile(&raw const (*record).confirmed)
    };
    on_trial && trial(ifindex) == OVER_HERE
}

/// Whether there are exemptions.
#[inline(always)]
pub fn exempting() -> bool {
    let record = &raw const CONTROL;
    // SAFETY: as above.
    unsafe { read_volatile(&raw const (*record).exempting) != 0 }
}

/// The image on trial is in force.
const GOES_ON: u32 = 0;
/// Its time is over.
const OVER: u32 = 1;
/// Its time is over, on an interface that the confirmed policy does not name.
const OVER_HERE: u32 = 2;

/// How the trial stands for a packet on the interface `ifindex`. A function of its own for the kernel,
/// which verifies it once.
#[unsafe(no_mangle)]
#[inline(never)]
extern "C" fn trial(ifindex: u32) -> u32 {
    let record = &raw const CONTROL;
    // SAFETY: as above.
    unsafe {
        let slot = read_volatile(&raw const (*record).slot);
        let until = (&raw const (*record).until).cast::<u64>();
        let until = until.add(slot as usize % SLOTS as usize);
        if settings::lease_clock() < read_volatile(until) {
            return GOES_ON;
        }
        for place in 0..BEYOND {
            let beyond = (&raw const (*record).beyond).cast::<u32>().add(place);
            if read_volatile(beyond) == ifindex {
                return OVER_HERE;
            }
        }
        OVER
    }
}
