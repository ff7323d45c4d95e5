//! Memory of an NVIDIA GPU. Tensors are allocated from the device's memory pool (CUDA Driver API,
//! "Stream Ordered Memory Allocator").
#![allow(unsafe_code)]

use candle_core::CudaDevice;
use candle_core::cuda_backend::cudarc::driver::result::{device, mem_pool};
use candle_core::cuda_backend::cudarc::driver::sys::{
    CUmemPool_attribute as Attribute, CUmemoryPool,
};

/// Free memory of the driver, plus memory of the pool that no tensor uses.
pub(super) fn left(gpu: &CudaDevice) -> Option<u64> {
    let stream = gpu.cuda_stream();
    // Tensors are freed in stream order, so their memory counts as free only after a
    // synchronization.
    stream.synchronize().ok()?;
    let (free, _) = stream.context().mem_get_info().ok()?;
    let retained = match (
        read(gpu, Attribute::CU_MEMPOOL_ATTR_RESERVED_MEM_CURRENT),
        read(gpu, Attribute::CU_MEMPOOL_ATTR_USED_MEM_CURRENT),
    ) {
        (Some(reserved), Some(used)) => reserved.saturating_sub(used),
        _ => 0,
    };
    Some(free as u64 + retained)
}

/// Configures the pool never to return memory to the driver by itself.
pub(super) fn keep_freed(gpu: &CudaDevice) {
    // A GPU without a pool calls the driver for each allocation, which is the default anyway.
    let _ = write(gpu, Attribute::CU_MEMPOOL_ATTR_RELEASE_THRESHOLD, u64::MAX);
}

/// Resets the peak counter and returns the memory that tensors use now.
pub(super) fn start(gpu: &CudaDevice) -> Option<u64> {
    gpu.cuda_stream().synchronize().ok()?;
    // This attribute can only be set to 0.
    write(gpu, Attribute::CU_MEMPOOL_ATTR_USED_MEM_HIGH, 0)?;
    read(gpu, Attribute::CU_MEMPOOL_ATTR_USED_MEM_CURRENT)
}

/// Peak memory of the tensors since [`start`].
pub(super) fn most(gpu: &CudaDevice) -> Option<u64> {
    read(gpu, Attribute::CU_MEMPOOL_ATTR_USED_MEM_HIGH)
}

fn read(gpu: &CudaDevice, attribute: Attribute) -> Option<u64> {
    let mut value = 0u64;
    // SAFETY: the pool belongs to the device, and each attribute used here is a `cuuint64_t`.
    unsafe { mem_pool::get_attribute(pool(gpu)?, attribute, (&raw mut value).cast()).ok()? };
    Some(value)
}

fn write(gpu: &CudaDevice, attribute: Attribute, mut value: u64) -> Option<()> {
    // SAFETY: as in `read`.
    unsafe { mem_pool::set_attribute(pool(gpu)?, attribute, (&raw mut value).cast()).ok() }
}

/// The pool from which candle allocates tensors; `None` if the driver does not support pools.
fn pool(gpu: &CudaDevice) -> Option<CUmemoryPool> {
    let stream = gpu.cuda_stream();
    let context = stream.context();
    context.bind_to_thread().ok()?;
    // SAFETY: the device belongs to the context.
    unsafe { device::get_mem_pool(context.cu_device()).ok() }
}
