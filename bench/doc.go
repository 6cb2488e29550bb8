// Package bench compares this module's kernels and layers with the limits of
// the machine and with softmax attention:
//
//	go test -bench . ./bench                kernels and layers, in benchstat's format
//	go run ./bench/report                   a chosen set, as a page with plots
//	go run ./bench/lmbench -config NAME     whole language models
//	go run ./bench/limits                   the machine itself
//
// Names follow benchstat's key=value style. Kernels run on one core, at every
// instruction level that the machine has (hw=…), and report the metric
// peak-frac: the fraction of what the same core, in the same run, at the same
// level, does when it only multiplies and adds (MatMul) or only reads memory
// (MatVec). Machines are shared and noisy: compare ratios of one run.
package bench
