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
//
// Layers run on one core too, at the level in use. Forward is a whole sequence
// (µs/token: flat over n= for all but softmax attention), Decode one token
// after a thousand. Some of them:
//
//	go test -bench 'Forward/layer=(mamba|softmax)/' ./bench
//	go test -bench 'Decode/layer=rwkv7' -count 6 ./bench | tee new.txt    # for benchstat
//	SUBQUAD_HW=avx2 go test -count 1 -bench MatMul ./bench
//
// A layer is compared as soon as Kinds lists it.
package bench
