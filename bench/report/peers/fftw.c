/* Microseconds of a causal convolution of 64 channels with kernels as long as
 * the signal, whose spectrum is at hand: r2c, product, c2r of twice the length,
 * each channel's samples side by side, the layout that FFTW likes best. */
#include <fftw3.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

static double now(void) {
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1e6 + t.tv_nsec * 1e-3;
}

int main(int argc, char **argv) {
	int n = argc > 1 ? atoi(argv[1]) : 4096, channels = 64, m = 2 * n, bins = n + 1;
	float *x = fftwf_malloc(sizeof(float) * m);
	float *signal = fftwf_malloc(sizeof(float) * (size_t)n * channels), *result = fftwf_malloc(sizeof(float) * (size_t)n * channels);
	fftwf_complex *f = fftwf_malloc(sizeof(fftwf_complex) * bins), *k = fftwf_malloc(sizeof(fftwf_complex) * (size_t)bins * channels);
	fftwf_plan forward = fftwf_plan_dft_r2c_1d(m, x, f, FFTW_MEASURE), back = fftwf_plan_dft_c2r_1d(m, f, x, FFTW_MEASURE);
	for (int i = 0; i < n * channels; i++) signal[i] = (float)(i % 17) / 17;
	for (int i = 0; i < bins * channels; i++) k[i][0] = 1, k[i][1] = (float)(i % 5);
	double best = 1e30;
	for (int r = 0; r < 5; r++) {
		double t = now();
		for (int c = 0; c < channels; c++) {
			for (int i = 0; i < n; i++) x[i] = signal[c * n + i];
			for (int i = n; i < m; i++) x[i] = 0;
			fftwf_execute(forward);
			for (int i = 0; i < bins; i++) {
				float re = f[i][0] * k[c * bins + i][0] - f[i][1] * k[c * bins + i][1];
				f[i][1] = f[i][0] * k[c * bins + i][1] + f[i][1] * k[c * bins + i][0];
				f[i][0] = re;
			}
			fftwf_execute(back);
			for (int i = 0; i < n; i++) result[c * n + i] = x[i] / m;
		}
		t = now() - t;
		if (t < best) best = t;
	}
	printf("%.3f\n", best);
	return 0;
}
