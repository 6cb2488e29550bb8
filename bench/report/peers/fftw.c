/* Microseconds of a causal convolution of 64 channels with kernels as long as
 * the signal, whose spectrum is at hand: r2c, product, c2r of twice the length,
 * each channel's samples side by side, the layout that FFTW likes best, and
 * channels shared out among threads. Lines are "work microseconds". */
#include <fftw3.h>
#include <omp.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

enum { CHANNELS = 64 };

static double now(void) {
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1e6 + t.tv_nsec * 1e-3;
}

static void convolution(int n, int threads) {
	int m = 2 * n, bins = n + 1;
	float **x = malloc(sizeof(float *) * threads);
	fftwf_complex **f = malloc(sizeof(fftwf_complex *) * threads);
	for (int i = 0; i < threads; i++) {
		x[i] = fftwf_malloc(sizeof(float) * m);
		f[i] = fftwf_malloc(sizeof(fftwf_complex) * bins);
	}
	float *signal = fftwf_malloc(sizeof(float) * (size_t)n * CHANNELS), *result = fftwf_malloc(sizeof(float) * (size_t)n * CHANNELS);
	fftwf_complex *k = fftwf_malloc(sizeof(fftwf_complex) * (size_t)bins * CHANNELS);
	fftwf_plan forward = fftwf_plan_dft_r2c_1d(m, x[0], f[0], FFTW_MEASURE), back = fftwf_plan_dft_c2r_1d(m, f[0], x[0], FFTW_MEASURE);
	for (int i = 0; i < n * CHANNELS; i++) signal[i] = (float)(i % 17) / 17;
	for (int i = 0; i < bins * CHANNELS; i++) k[i][0] = 1, k[i][1] = (float)(i % 5);
	double best = 1e30, start = now();
	for (int r = 0; r < 4 || now() - start < 2e5; r++) {
		double t = now();
#pragma omp parallel for num_threads(threads) schedule(static)
		for (int c = 0; c < CHANNELS; c++) {
			float *xs = x[omp_get_thread_num()];
			fftwf_complex *fs = f[omp_get_thread_num()], *ks = k + (size_t)c * bins;
			for (int i = 0; i < n; i++) xs[i] = signal[(size_t)c * n + i];
			for (int i = n; i < m; i++) xs[i] = 0;
			fftwf_execute_dft_r2c(forward, xs, fs);
			for (int i = 0; i < bins; i++) {
				float re = fs[i][0] * ks[i][0] - fs[i][1] * ks[i][1];
				fs[i][1] = fs[i][0] * ks[i][1] + fs[i][1] * ks[i][0];
				fs[i][0] = re;
			}
			fftwf_execute_dft_c2r(back, fs, xs);
			for (int i = 0; i < n; i++) result[(size_t)c * n + i] = xs[i] / m;
		}
		t = now() - t;
		if (t < best) best = t;
	}
	printf("conv-%d %.3f\n", n, best);
}

int main(int argc, char **argv) {
	int threads = argc > 1 ? atoi(argv[1]) : 1;
	convolution(4096, threads);
	convolution(65536, threads);
	return 0;
}
