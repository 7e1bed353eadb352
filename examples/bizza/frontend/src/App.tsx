import { Route, Routes } from "react-router";
import { Frame } from "./Frame";
import { About, NotFound } from "./pages/About";
import { LogIn, SignUp } from "./pages/Account";
import { Admin, EditEvent, EditSpeaker } from "./pages/Admin";
import { Contact } from "./pages/Contact";
import { EventPage, Events } from "./pages/Events";
import { Home } from "./pages/Home";
import { Schedule } from "./pages/Schedule";
import { SpeakerPage, Speakers } from "./pages/Speakers";
import { Sponsors } from "./pages/Sponsors";
import { Tickets } from "./pages/Tickets";
import { Venues } from "./pages/Venues";

export function App() {
  return (
    <Routes>
      <Route element={<Frame />}>
        <Route index element={<Home />} />
        <Route path="speakers" element={<Speakers />} />
        <Route path="speakers/:id" element={<SpeakerPage />} />
        <Route path="events" element={<Events />} />
        <Route path="events/:id" element={<EventPage />} />
        <Route path="schedule" element={<Schedule />} />
        <Route path="venues" element={<Venues />} />
        <Route path="sponsors" element={<Sponsors />} />
        <Route path="about" element={<About />} />
        <Route path="contact" element={<Contact />} />
        <Route path="sign-up" element={<SignUp />} />
        <Route path="log-in" element={<LogIn />} />
        <Route path="tickets" element={<Tickets />} />
        <Route path="admin" element={<Admin />} />
        <Route path="admin/speakers/:id" element={<EditSpeaker />} />
        <Route path="admin/events/:id" element={<EditEvent />} />
        <Route path="*" element={<NotFound />} />
      </Route>
    </Routes>
  );
}
