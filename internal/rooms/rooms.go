// Package rooms holds the rules of what may import what: see its test. Arrows between packages go
// down only, and each reach into another module's inside has one place.
package rooms
