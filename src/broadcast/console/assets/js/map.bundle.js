// The map is drawn once. What changes is the condition of a commune: it is copied from the list
// that HTMX fetches again, and only where it has changed.
import "./map.js";
import "./wall.js";
