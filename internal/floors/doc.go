// Package floors holds the module's order: its test fails when a package
// imports from a floor that is not below its own, or from a sibling.
//
//	programs   examples, bench, commands, and the tests' own tools
//	models     lm, train
//	families   ssm, rwkv, linattn
//	root       the names that the families share
//	layers     nn
//	engines    scan, fft
//	tensor
//	kernels    internal/kernel/…
//	hw
//
// Tests may import what they like.
package floors
