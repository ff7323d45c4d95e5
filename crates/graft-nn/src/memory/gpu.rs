//! Memory of an NVIDIA card. Tensors come from the driver's pool of the device (CUDA Driver API, "Stream Ordered Memory Allocator").
#![allow(unsafe_code)]

use candle_core::CudaDevice;
use candle_core::cuda_backend::cudarc::driver::result::{device, mem_pool};
use candle_core::cuda_backend::cudarc::driver::sys::{
    CUmemPool_attribute as Attribute, CUmemoryPool,
};

/// What the driver has left, and what the pool keeps and no tensor holds.
pub(super) fn left(gpu: &CudaDevice) -> Option<u64> {
    let stream = gpu.cuda_stream();
    // Tensors are given back in the order of the stream: those that are gone count once it is through.
    stream.synchronize().ok()?;
    let (free, _) = stream.context().mem_get_info().ok()?;
    let kept = match (
        read(gpu, Attribute::CU_MEMPOOL_ATTR_RESERVED_MEM_CURRENT),
        read(gpu, Attribute::CU_MEMPOOL_ATTR_USED_MEM_CURRENT),
    ) {
        (Some(reserved), Some(used)) => reserved.saturating_sub(used),
        _ => 0,
    };
    Some(free as u64 + kept)
}

/// The pool gives nothing back to the driver by itself.
pub(super) fn keep_freed(gpu: &CudaDevice) {
    // A card without a pool asks the driver each time, as it would anyway.
    let _ = write(gpu, Attribute::CU_MEMPOOL_ATTR_RELEASE_THRESHOLD, u64::MAX);
}

/// Begins to watch for the most, and gives what tensors hold now.
pub(super) fn start(gpu: &CudaDevice) -> Option<u64> {
    gpu.cuda_stream().synchronize().ok()?;
    // The one value that this attribute may be set to.
    write(gpu, Attribute::CU_MEMPOOL_ATTR_USED_MEM_HIGH, 0)?;
    read(gpu, Attribute::CU_MEMPOOL_ATTR_USED_MEM_CURRENT)
}

/// The most that tensors have held since [`start`].
pub(super) fn most(gpu: &CudaDevice) -> Option<u64> {
    read(gpu, Attribute::CU_MEMPOOL_ATTR_USED_MEM_HIGH)
}

fn read(gpu: &CudaDevice, attribute: Attribute) -> Option<u64> {
    let mut value = 0u64;
    // SAFETY: the pool is the device's own, and each attribute asked for here is a `cuuint64_t`.
    unsafe { mem_pool::get_attribute(pool(gpu)?, attribute, (&raw mut value).cast()).ok()? };
    Some(value)
}

fn write(gpu: &CudaDevice, attribute: Attribute, mut value: u64) -> Option<()> {
    // SAFETY: as in `read`.
    unsafe { mem_pool::set_attribute(pool(gpu)?, attribute, (&raw mut value).cast()).ok() }
}

/// The pool from which candle's tensors come; none for a driver that knows no pools.
fn pool(gpu: &CudaDevice) -> Option<CUmemoryPool> {
    let stream = gpu.cuda_stream();
    let context = stream.context();
    context.bind_to_thread().ok()?;
    // SAFETY: the device is the context's.
    unsafe { device::get_mem_pool(context.cu_device()).ok() }
}
