//! Inner loops over slices, compiled for several instruction sets and chosen at run time.
//!
//! The build is baseline x86-64, so each loop exists three times: AVX-512, AVX2 with FMA, and portable. They are written so
//! that the compiler turns them into vector code (fixed lanes, no calls, no branches inside).
#![allow(unsafe_code)]

/// Defines a function whose body is compiled for each instruction set.
macro_rules! simd {
    ($(#[$doc:meta])* fn $name:ident($($arg:ident: $type:ty),* $(,)?) $(-> $ret:ty)? $body:block) => {
        $(#[$doc])*
        pub(crate) fn $name($($arg: $type),*) $(-> $ret)? {
            #[inline(always)]
            fn portable($($arg: $type),*) $(-> $ret)? $body

            #[cfg(target_arch = "x86_64")]
            {
                #[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512dq,avx2,fma")]
                fn avx512($($arg: $type),*) $(-> $ret)? {
                    portable($($arg),*)
                }

                #[target_feature(enable = "avx2,fma")]
                fn avx2($($arg: $type),*) $(-> $ret)? {
                    portable($($arg),*)
                }

                if $crate::kernel::has_avx512() {
                    // SAFETY: the processor has every instruction set that the function enables.
                    return unsafe { avx512($($arg),*) };
                }
                if $crate::kernel::has_avx2() {
                    // SAFETY: as above.
                    return unsafe { avx2($($arg),*) };
                }
            }
            portable($($arg),*)
        }
    };
}

mod cross_entropy;
mod dropout;
mod exp;
mod gelu;
mod lanes;
mod layer_norm;
mod rms_norm;
mod rotary;
mod softmax;
mod sum;
mod swiglu;

pub(crate) use cross_entropy::{log_sum_exp, log_sum_exp_backward, log_sum_exp_gradient};
pub(crate) use dropout::drop_out;
pub(crate) use gelu::{gelu, gelu_backward, gelu_tanh, gelu_tanh_backward};
pub(crate) use layer_norm::{layer_norm, layer_norm_backward, layer_norm_weight};
pub(crate) use rms_norm::{rms_norm, rms_norm_backward, rms_norm_weight};
pub(crate) use rotary::rotate;
pub(crate) use softmax::{hide, softmax, softmax_backward};
pub(crate) use sum::add;
pub(crate) use swiglu::{swiglu, swiglu_backward};

#[cfg(target_arch = "x86_64")]
fn has_avx512() -> bool {
    is_x86_feature_detected!("avx512f")
        && is_x86_feature_detected!("avx512bw")
        && is_x86_feature_detected!("avx512vl")
        && is_x86_feature_detected!("avx512dq")
        && has_avx2()
}

#[cfg(target_arch = "x86_64")]
fn has_avx2() -> bool {
    is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma")
}
