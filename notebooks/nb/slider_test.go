package nb

import (
	"context"
	"testing"
	"time"
)

// TestConnected checks that a widget whose script did not run is made anew, and that an interrupt
// ends the waiting.
func TestConnected(t *testing.T) {
	patience := widgetPatience
	widgetPatience = time.Millisecond
	t.Cleanup(func() { widgetPatience = patience })
	calls := make(chan int, 3)
	for i := range 3 {
		calls <- i
	}
	forever := make(chan int)
	got := connected(t.Context(), "place", func() *int {
		if call := <-calls; call == 2 {
			return &call
		}
		call := <-forever
		return &call
	})
	if got == nil || *got != 2 {
		t.Errorf("got %v, want what the third call gives", got)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	widgetPatience = time.Hour
	if got := connected(ctx, "place", func() *int { call := <-forever; return &call }); got != nil {
		t.Errorf("after an interrupt got %v", *got)
	}
}
