"""Sources: the library of videos that a project may remix, with the right on which each stands."""
