/* Microseconds of c = a b^T in float32, for some shapes. Lines are "work microseconds". */
#include <cblas.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

void openblas_set_num_threads(int);
char *openblas_get_corename(void);

static double now(void) {
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1e6 + t.tv_nsec * 1e-3;
}

static void product(int m, int n, int k) {
	float *a = malloc(sizeof(float) * m * k), *b = malloc(sizeof(float) * n * k), *c = malloc(sizeof(float) * m * n);
	for (int i = 0; i < m * k; i++) a[i] = (float)(i % 17) / 17;
	for (int i = 0; i < n * k; i++) b[i] = (float)(i % 13) / 13;
	double best = 1e30, start = now();
	for (int r = 0; r < 4 || now() - start < 2e5; r++) {
		double t = now();
		cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasTrans, m, n, k, 1, a, k, b, k, 0, c, n);
		t = now() - t;
		if (t < best) best = t;
	}
	printf("matmul-f32-%dx%dx%d %.3f\n", m, n, k, best);
	free(a), free(b), free(c);
}

int main(int argc, char **argv) {
#ifdef __AVX512F__
	/* An OpenBLAS that is older than the processor takes it for a Prescott: ask for its best kernels. */
	if (!strcmp(openblas_get_corename(), "Prescott") && !getenv("OPENBLAS_CORETYPE")) {
		setenv("OPENBLAS_CORETYPE", "SkylakeX", 1);
		execv("/proc/self/exe", argv);
	}
#endif
	openblas_set_num_threads(argc > 1 ? atoi(argv[1]) : 1);
	product(512, 3072, 768);
	product(1024, 1024, 1024);
	return 0;
}
