package compilecache

import (
	"runtime"
	"testing"
	"time"
)

// WithCapacity is for the tests outside of the package: gctest imports it, so that tests that use
// gctest cannot be inside.
var WithCapacity = withCapacity

// TestFinalizersGoOn: an executable that is dropped during a compilation does not hold up the
// finalizers of others.
func TestFinalizersGoOn(t *testing.T) {
	b := &Backend{programs: make(map[key]*entry)}
	b.mu.Lock() // As a compilation does.
	defer b.mu.Unlock()
	newExecutable(b, &entry{users: 2})
	runtime.GC()
	time.Sleep(20 * time.Millisecond) // Until its finalizer waits, if it does.
	done := make(chan struct{})
	runtime.SetFinalizer(new([64]byte), func(*[64]byte) { close(done) })
	runtime.GC()
	select {
	case <-done:
	case <-time.After(10 * time.Second):
		t.Error("a finalizer did not run during a compilation")
	}
}

// TestKeys: names that GoMLX makes up do not tell programs apart, everything else does.
func TestKeys(t *testing.T) {
	const one, two = "uuid_6b815a72_6aa4_4571_b4a8_29ff123ebe10", "uuid_6d2b025f_39a5_4ca1_9f88_b1dc1030d4a4"
	text := func(lines string) key { return keyOf([]byte(lines)) }
	first := text("module @a {\n%" + one + "_count, %" + two + "_mean")
	if other := text("module @b {\n%" + two + "_count, %" + one + "_mean"); other != first {
		t.Error("names tell equal programs apart")
	}
	for _, different := range []string{"%" + one + "_count, %" + one + "_mean", "%" + one + "_mean, %" + two + "_count"} {
		if text("module @a {\n"+different) == first {
			t.Errorf("%s is taken for another program", different)
		}
	}
}
