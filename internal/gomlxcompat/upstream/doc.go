// Package upstream holds tests alone: they show what GoMLX's Go backend does in a program without
// this module.
package upstream
