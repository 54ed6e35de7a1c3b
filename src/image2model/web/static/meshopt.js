// Empty on purpose. The viewer has its meshopt decoder inside, and switches it on when it is given an address
// of a script and that has loaded; without one, models that are compressed this way would be refused.
