//! The one engine: Cranelift, pooled instances, epoch interruption, nothing that a plugin here does not need.

use std::hash::{DefaultHasher, Hash, Hasher};

use wasmtime::{
    Config, Enabled, Engine, InstanceAllocationStrategy, OptLevel, PoolingAllocationConfig,
};

use crate::{Limits, RuntimeError};

/// The stack of a guest's functions.
const WASM_STACK_BYTES: usize = 512 << 10;

/// The stack of a call: the guest's and that of the host functions it calls.
const CALL_STACK_BYTES: usize = 2 << 20;

/// Memory that a freed slot keeps where the kernel can say which of its pages are there (since Linux 6.7). What one
/// large call touched beyond this is given back; what is kept is cleared at the end of every call.
const KEEP_BYTES_SCANNED: usize = 128 << 10;

/// Memory that a freed slot keeps where it has to be zeroed whole.
const KEEP_BYTES_ZEROED: usize = 16 << 10;

/// Core modules of one component: a plugin's own and the encoder's shims.
const MODULES_PER_COMPONENT: u32 = 4;

/// Addresses reserved per memory, best first: 4 GiB needs no bounds checks in the code, 256 MiB fits where address
/// space is scarce.
const RESERVATIONS: [u64; 2] = [4 << 30, 256 << 20];

/// Two engines that run the same code.
pub(crate) struct Engines {
    /// For calls: instances from a pool, if this machine has the address space for one.
    pub(crate) calls: Engine,
    /// For asking a component what it offers, once: instances made from nothing. That call touches much memory, and a
    /// place in the pool would have to clear it again after every call that comes behind.
    pub(crate) once: Engine,
    /// Addresses reserved per memory: code is compiled for it.
    pub(crate) reservation: u64,
}

/// Starts the engines.
pub(crate) fn start(pool_slots: u32, limits: &Limits) -> Result<Engines, RuntimeError> {
    for reservation in RESERVATIONS {
        match Engine::new(&config(reservation, Some(pool_slots), limits)) {
            Ok(calls) => {
                let once = unpooled(reservation, limits)?;
                return Ok(Engines {
                    calls,
                    once,
                    reservation,
                });
            }
            Err(error) => {
                tracing::warn!(
                    reservation,
                    error = format!("{error:#}"),
                    "no pool of instances"
                );
            }
        }
    }
    let [_, smallest] = RESERVATIONS;
    let engine = unpooled(smallest, limits)?;
    Ok(Engines {
        calls: engine.clone(),
        once: engine,
        reservation: smallest,
    })
}

fn unpooled(reservation: u64, limits: &Limits) -> Result<Engine, RuntimeError> {
    Engine::new(&config(reservation, None, limits))
        .map_err(RuntimeError::engine("starting wasmtime"))
}

/// An engine that only compiles, on the thread that asks: code for the engines that were started with this reservation.
pub(crate) fn compiling(reservation: u64) -> wasmtime::Result<Engine> {
    let mut config = config(reservation, None, &Limits::default());
    config.parallel_compilation(false);
    Engine::new(&config)
}

/// What code compiled by this engine fits: its version, its settings, this processor.
pub(crate) fn compatibility(engine: &Engine) -> u64 {
    let mut hasher = DefaultHasher::new();
    engine.precompile_compatibility_hash().hash(&mut hasher);
    hasher.finish()
}

fn config(reservation: u64, pool_slots: Option<u32>, limits: &Limits) -> Config {
    let mut config = Config::new();
    config
        .wasm_component_model(true)
        .cranelift_opt_level(OptLevel::Speed)
        // Off, because guests do not need it, calls are a third faster, and two advisories began there.
        .concurrency_support(false)
        .epoch_interruption(true)
        .wasm_memory64(false)
        .wasm_multi_memory(false)
        .max_wasm_stack(WASM_STACK_BYTES)
        .async_stack_size(CALL_STACK_BYTES)
        .memory_reservation(reservation)
        .memory_init_cow(true);
    if let Some(slots) = pool_slots {
        let pool = pool(slots, reservation, limits);
        config.allocation_strategy(InstanceAllocationStrategy::Pooling(pool));
    }
    config
}

fn pool(slots: u32, reservation: u64, limits: &Limits) -> PoolingAllocationConfig {
    let mut pool = PoolingAllocationConfig::default();
    let parts = slots.saturating_mul(MODULES_PER_COMPONENT);
    let memory_max = limits
        .memory_bytes
        .min(usize::try_from(reservation).unwrap_or(usize::MAX));
    let keep = if PoolingAllocationConfig::is_pagemap_scan_available() {
        pool.pagemap_scan(Enabled::Yes);
        KEEP_BYTES_SCANNED
    } else {
        pool.pagemap_scan(Enabled::No);
        KEEP_BYTES_ZEROED
    };
    pool.total_component_instances(slots)
        .total_core_instances(parts)
        .total_memories(slots)
        .total_tables(parts)
        .total_stacks(slots)
        .max_core_instances_per_component(MODULES_PER_COMPONENT)
        .max_memories_per_component(1)
        .max_tables_per_component(MODULES_PER_COMPONENT)
        .max_memory_size(memory_max)
        .linear_memory_keep_resident(keep)
        .table_keep_resident(KEEP_BYTES_ZEROED);
    pool
}
