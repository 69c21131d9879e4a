// Package upstream holds only tests. They show how GoMLX's Go backend behaves in a program that
// does not use this module.
package upstream
