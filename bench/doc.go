// Package bench compares this module's kernels and layers with the limits of
// the machine and with softmax attention. It has benchmarks only:
//
//	go test -bench . ./bench
//	go test -bench 'MatMul/.*hw=avx512' ./bench
//
// Names follow benchstat's key=value style. Kernels run on one core, at every
// instruction level that the machine has (hw=…), and report the metric
// peak-frac: the fraction of what the same core, in the same run, at the same
// level, does when it only multiplies and adds (MatMul) or only reads memory
// (MatVec). Machines are shared and noisy: compare ratios of one run.
package bench
