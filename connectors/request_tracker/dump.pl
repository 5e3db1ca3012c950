# Prints templates, scrips, rights and saved searches, a row a line, for migrator (customizations.py). Changes nothing.
@Final = (sub {
  use JSON ();
  my $json = JSON->new->ascii->canonical;
  my $told = sub { my ($stream, $row) = @_; print STDOUT "\nmigrator-row: $stream ", $json->encode($row), "\n" };
  my $every = sub {
    my $all = "RT::$_[0]"->new(RT->SystemUser); $all->{'find_disabled_rows'} = 1; $all->UnLimit;
    $all->OrderBy(FIELD => 'id'); return $all;
  };
  my $person = sub { my $who = shift; return 'user: ' . ($who->EmailAddress || $who->Name) };
  my %word = ('RT::Queue' => 'queue', 'RT::Group' => 'group', 'RT::Class' => 'class', 'RT::Catalog' => 'catalog',
    'RT::CustomField' => 'custom field');
  my $scope = sub {
    my ($type, $object) = @_;
    return 'everything' if $type eq 'RT::System';
    return undef unless $object and $object->id;
    return $person->($object) if $type eq 'RT::User';
    return ($word{$type} || $type) . ': ' . ($object->can('Name') ? $object->Name : $object->id);
  };
  my $templates = $every->('Templates');
  while (my $one = $templates->Next) {
    $told->('templates', { Scope => $one->Queue ? 'queue: ' . $one->QueueObj->Name : 'everything',
      map { $_ => $one->$_ } qw(id Name Description Type Content) });
  }
  my $queue_of = sub {
    my $queue = RT::Queue->new(RT->SystemUser);
    $queue->LoadByCols(Name => $_[0]);
    return $queue->id;
  };
  my $recipient = sub {
    my $text = shift;
    return "other $text" if $text =~ /\D/;
    my $principal = RT::Principal->new(RT->SystemUser);
    $principal->Load($text);
    return "other $text" unless $principal->id;
    return "user $text" if $principal->IsUser;
    my $group = $principal->Object;
    return 'all agents' if $group->Domain eq 'SystemInternal' and $group->Name eq 'Privileged';
    my $queue = $group->Domain eq 'UserDefined' ? $queue_of->($group->Name) : undef;
    return 'group ' . $group->Name unless $group->Domain eq 'UserDefined';
    return 'queue ' . ($queue || 'people:' . $group->id);
  };
  my $scrips = $every->('Scrips');
  while (my $one = $scrips->Next) {
    my (@on, @in, $stage);
    my $added = RT::ObjectScrips->new(RT->SystemUser);
    $added->LimitToScrip($one->id);
    while (my $link = $added->Next) {
      my $queue = RT::Queue->new(RT->SystemUser);
      $queue->Load($link->ObjectId) if $link->ObjectId;
      push @on, $link->ObjectId ? 'queue: ' . $queue->Name : 'everything';
      push @in, $link->ObjectId if $link->ObjectId;
      $stage ||= $link->Stage;
    }
    my ($action, %more) = ($one->ActionObj);
    if ($action->ExecModule =~ /^(?:Notify|Autoreply)/) {
      my $template = RT::Template->new(RT->SystemUser);
      $template->LoadByName(Name => $one->Template, Queue => @in == 1 ? $in[0] : 0);
      $template->LoadGlobalTemplate($one->Template) unless $template->id;
      $more{Text} = $template->Content if $template->id;
    }
    $more{To} = [map { $recipient->($_) } grep { $_ ne 'AlwaysNotifyActor' } split /\s*,\s*/, $action->Argument // '']
      if $action->ExecModule eq 'NotifyGroup';
    $told->('scrips', { %more, Queues => [sort { $a <=> $b } @in], Scopes => [sort @on], Stage => $stage, Condition => $one->ConditionObj->Name,
      Action => $one->ActionObj->Name, Template => $one->Template, map { $_ => $one->$_ }
      qw(id Description Disabled CustomIsApplicableCode CustomPrepareCode CustomCommitCode) });
  }
  my $rights = $every->('ACL');
  while (my $one = $rights->Next) {
    my $principal = $one->PrincipalObj;
    my $group = $principal->Object;
    my ($domain, $name) = ($group->Domain, $group->Name);
    my $holder = $domain eq 'SystemInternal' ? "system: $name" : $domain eq 'UserDefined' ? "group: $name"
      : $domain =~ /-Role$/ ? "role: $name" : undef;
    if ($domain eq 'ACLEquivalence') {
      my $who = RT::User->new(RT->SystemUser);
      $who->Load($group->Instance);
      $holder = $who->Name =~ /^(?:RT_System|Nobody)$/ ? undef : $person->($who);
      next unless $holder;  # built in
    }
    my $on = $scope->($one->ObjectType, $one->Object);
    next unless $on;  # what it was given on is gone
    $told->('rights', { id => $one->id, Holder => $holder || "$domain: $name", Right => $one->RightName, Scope => $on });
  }
  my $searches = $every->('Attributes');
  while (my $one = $searches->Next) {
    next unless $one->Name eq 'SavedSearch' or $one->Name =~ /^Search - /;
    my $content = $one->Content;
    my $on = $scope->($one->ObjectType, $one->Object);
    next unless $on and ref $content eq 'HASH';
    my $name = $one->Name eq 'SavedSearch' ? $one->Description : $one->Name;
    my %more = %$content;
    delete @more{qw(Query Format OrderBy Order)};
    delete $more{SearchType} if ($more{SearchType} // '') eq 'Ticket';  # what change.pl adds by itself
    $told->('searches', { id => $one->id, Name => $name, Scope => $on, More => $json->encode(\%more),
      map { $_ => $content->{$_} } qw(Query Format OrderBy Order) });
  }
}); 1;
