# SPDX-License-Identifier: Apache-2.0
"""The matrix Fourier transform against torch.fft, and the polar form."""

from __future__ import annotations

import pytest

torch = pytest.importorskip('torch')

from magadepth_training.networks.s2ml.spectral import (
    RealFourier2d,
    from_polar,
    to_polar,
)

SIZES = [(8, 8), (6, 10), (7, 9), (5, 12), (60, 80)]


@pytest.mark.parametrize(('height', 'width'), SIZES)
def test_forward_equals_the_centred_rfft2(height, width):
    x = torch.randn(2, 3, height, width, generator=torch.Generator().manual_seed(0))

    real, imaginary = RealFourier2d(height, width)(x)

    expected = torch.fft.fftshift(torch.fft.rfft2(x, norm='ortho'), dim=-2)
    torch.testing.assert_close(real, expected.real, atol=2e-5, rtol=0)
    torch.testing.assert_close(imaginary, expected.imag, atol=2e-5, rtol=0)


@pytest.mark.parametrize(('height', 'width'), SIZES)
def test_inverse_equals_irfft2_also_for_a_spectrum_of_no_real_map(height, width):
    bins = width // 2 + 1
    spectrum = torch.randn(
        2, 1, height, bins, dtype=torch.cfloat, generator=torch.Generator().manual_seed(1)
    )

    x = RealFourier2d(height, width).inverse(spectrum.real, spectrum.imag)

    plain = torch.fft.ifftshift(spectrum, dim=-2)
    expected = torch.fft.irfft2(plain, s=(height, width), norm='ortho')
    torch.testing.assert_close(x, expected, atol=2e-5, rtol=0)


def test_round_trip_returns_the_map():
    fourier = RealFourier2d(12, 16)
    x = torch.randn(1, 2, 12, 16)

    torch.testing.assert_close(fourier.inverse(*fourier(x)), x, atol=1e-5, rtol=0)


def test_transform_stays_exact_under_bfloat16_autocast():
    fourier = RealFourier2d(12, 16)
    x = torch.randn(1, 2, 12, 16)

    with torch.autocast('cpu', dtype=torch.bfloat16):
        back = fourier.inverse(*fourier(x))

    assert back.dtype == torch.float32
    torch.testing.assert_close(back, x, atol=1e-5, rtol=0)


def test_frequencies_place_the_mean_in_the_centred_row():
    fourier = RealFourier2d(6, 8)
    real, _ = fourier(torch.ones(1, 1, 6, 8))

    frequencies = fourier.frequencies()

    assert frequencies.shape == (1, 3, 6, 5)
    mean = real[0, 0].abs() > 1e-4
    assert mean.sum() == 1
    assert frequencies[0, :, mean].abs().max() == 0
    # Nyquist of the rows comes first.
    assert frequencies[0, 0, 0, 0] == 1


def test_amplitude_and_phase_are_those_of_the_complex_numbers():
    real, imaginary = torch.randn(2, 1, 3, 5, 4)

    polar = to_polar(real, imaginary)

    complex_ = torch.complex(real, imaginary)
    torch.testing.assert_close(polar.amplitude, complex_.abs(), atol=2e-4, rtol=0)
    away = complex_.abs() > 0.05
    angle = torch.atan2(polar.sin, polar.cos)
    torch.testing.assert_close(angle[away], complex_.angle()[away], atol=1e-4, rtol=0)


@pytest.mark.parametrize('scale', [0.0, 1e-6, 1e-2, 1.0, 300.0])
def test_recombination_is_exact_at_every_scale(scale):
    real, imaginary = scale * torch.randn(2, 1, 3, 5, 4)

    back = from_polar(to_polar(real, imaginary))

    torch.testing.assert_close(back[0], real, rtol=1e-5, atol=1e-12)
    torch.testing.assert_close(back[1], imaginary, rtol=1e-5, atol=1e-12)


def test_half_precision_neither_overflows_nor_divides_by_zero():
    real = torch.tensor([0.0, 1e-3, 20000.0, -30000.0], dtype=torch.float16)
    imaginary = torch.tensor([0.0, 0.0, 20000.0, 100.0], dtype=torch.float16)

    polar = to_polar(real, imaginary)

    assert all(torch.isfinite(part).all() for part in polar)
    assert polar.amplitude[2] == pytest.approx(28284, rel=2e-3)


def test_gradient_is_finite_where_the_spectrum_vanishes():
    real = torch.zeros(1, 1, 4, 4, requires_grad=True)
    imaginary = torch.zeros(1, 1, 4, 4, requires_grad=True)

    polar = to_polar(real, imaginary)
    (polar.amplitude.sum() + polar.cos.sum() + polar.sin.sum()).backward()

    assert torch.isfinite(real.grad).all()
    assert torch.isfinite(imaginary.grad).all()


def test_gradient_of_the_amplitude_is_the_phase():
    real = torch.tensor([3.0, -2.0], requires_grad=True)
    imaginary = torch.tensor([4.0, 0.5], requires_grad=True)

    polar = to_polar(real, imaginary)
    polar.amplitude.sum().backward()

    torch.testing.assert_close(real.grad, polar.cos.detach(), atol=1e-3, rtol=0)
    torch.testing.assert_close(imaginary.grad, polar.sin.detach(), atol=1e-3, rtol=0)
