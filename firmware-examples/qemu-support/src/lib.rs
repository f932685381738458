//! What the Cortex-M examples share under QEMU: instruction counts, the high-water mark of the stack, and the end of a run.
//!
//! QEMU started with `-icount shift=6` lets 64 ns of virtual time pass per instruction, so that SysTick counts instructions, the same
//! number in every run. They are instructions, not cycles: nothing here knows wait states, caches or dual issue.
#![no_std]

use core::sync::atomic::{AtomicU32, Ordering};

use cortex_m::peripheral::SYST;
use cortex_m::peripheral::syst::SystClkSource;
use cortex_m_rt::{ExceptionFrame, exception};
use cortex_m_semihosting::{debug, hprintln};

/// Virtual nanoseconds per instruction under `-icount shift=6`.
const NS_PER_INSTRUCTION: f64 = 64.0;

/// QEMU's machines, by the clock of their SysTick.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Machine {
    /// `mps2-an386` (Cortex-M4F) and `mps2-an500` (Cortex-M7): 25 MHz.
    Mps2,
    /// `mps3-an547` (Cortex-M55): 32 MHz.
    Mps3,
}

/// Largest value of the 24-bit counter.
const RELOAD: u32 = 0xff_ffff;

static WRAPS: AtomicU32 = AtomicU32::new(0);

#[exception]
fn SysTick() {
    WRAPS.fetch_add(1, Ordering::Relaxed);
}

/// A fault ends the run instead of hanging it.
#[exception]
unsafe fn HardFault(frame: &ExceptionFrame) -> ! {
    hprintln!("hard fault at {:#010x}", frame.pc());
    exit(false)
}

/// Ends the run; QEMU's exit status is 0 only for `good`.
pub fn exit(good: bool) -> ! {
    debug::exit(if good {
        debug::EXIT_SUCCESS
    } else {
        debug::EXIT_FAILURE
    });
    loop {
        cortex_m::asm::wfi();
    }
}

/// Counts instructions.
pub struct InstructionCounter {
    ns_per_tick: f64,
}

impl InstructionCounter {
    /// Starts SysTick.
    pub fn start(mut timer: SYST, machine: Machine) -> Self {
        timer.set_clock_source(SystClkSource::Core);
        timer.set_reload(RELOAD);
        timer.clear_current();
        timer.enable_interrupt();
        timer.enable_counter();
        Self {
            ns_per_tick: match machine {
                Machine::Mps2 => 40.0,
                Machine::Mps3 => 31.25,
            },
        }
    }

    /// Instructions since the start.
    pub fn now(&self) -> u64 {
        loop {
            let wraps = WRAPS.load(Ordering::Relaxed);
            let ticks = u64::from(RELOAD - SYST::get_current());
            if wraps == WRAPS.load(Ordering::Relaxed) {
                let ticks = u64::from(wraps) * (u64::from(RELOAD) + 1) + ticks;
                return (ticks as f64 * self.ns_per_tick / NS_PER_INSTRUCTION) as u64;
            }
        }
    }

    /// Instructions that `work` takes, and its result.
    pub fn count<T>(&self, work: impl FnOnce() -> T) -> (u64, T) {
        let start = self.now();
        let result = work();
        (self.now() - start, result)
    }
}

unsafe extern "C" {
    static _stack_start: u32;
    static _stack_end: u32;
    static __vector_table: u32;
    static __sidata: u32;
    static __sdata: u32;
    static __edata: u32;
    static __ebss: u32;
}

/// Bytes of flash (code, constants, initial values) and of static RAM that the linker gave to the program.
pub fn linked_size() -> (usize, usize) {
    let initial = &raw const __edata as usize - &raw const __sdata as usize;
    let flash = &raw const __sidata as usize + initial - &raw const __vector_table as usize;
    let ram = &raw const __ebss as usize - &raw const __sdata as usize;
    (flash, ram)
}

/// Bytes of stack that were in use at most since the start.
pub fn stack_high_water() -> usize {
    let (lowest, top) = (
        &raw const _stack_end as usize,
        &raw const _stack_start as usize,
    );
    let mut at = lowest;
    // SAFETY: the linker script sets both symbols around the stack, which cortex-m-rt filled with a pattern before `main`; words of it are read,
    // never written, and the stack pointer lies above every word that still holds the pattern.
    while at < top
        && unsafe { core::ptr::read_volatile(at as *const u32) } == cortex_m_rt::STACK_PAINT_VALUE
    {
        at += size_of::<u32>();
    }
    top - at
}
