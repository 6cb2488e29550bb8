// Package checkpoint reads and writes safetensors files, the format in which
// trained weights are exchanged: an 8-byte header length, a JSON header that
// gives each tensor's type, shape and place, and the raw little-endian data.
//
// A file is memory-mapped where the system allows, so opening a large model
// costs its header alone, and weights that are used as they are stored need no
// copy (see File.Bytes). Every size in a header is checked against the file
// before memory is taken for it: a header that lies, or a truncated file, gives
// an error that says which tensor, what it claims and what was expected.
//
//	f, err := checkpoint.OpenDir("model")        // or Open, for one file
//	t, ok := f.Info("head.weight")               // type, shape
//	err = f.Float32("head.weight", dst)          // widened from what it is; Bytes gives it as it is
//	err = checkpoint.WriteFile(path, tensors, nil)
//
// lm's loaders use it; by itself it serves to look into a file or to convert one.
//
// The format: https://github.com/huggingface/safetensors
package checkpoint
