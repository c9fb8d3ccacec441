"""The ground the services stand on: settings, database, storage, engine, time and ids. It knows nothing of remixes."""
