// Lets the compiler take barrier.go's function without a body, which is linked by name.
