//go:build !purego && !linux

package hw

func permitAMX() error { return errNoAMX }
